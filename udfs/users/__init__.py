"""The operator track-users and the profile it keeps of each user."""
