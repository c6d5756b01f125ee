"""Serving: an API that answers with every user's newest published list, and takes behaviours."""
