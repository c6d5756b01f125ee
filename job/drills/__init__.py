"""Recovery drills: a job is broken on purpose, and judges say from its tables whether anybody could tell."""
