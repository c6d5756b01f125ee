"""Recovery drills: a job is broken on purpose, and judges check from its tables that its output is unaffected."""
