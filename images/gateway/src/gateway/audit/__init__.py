"""The bias audit: decisions joined with what was kept apart from them, compared group by group, judged and reported."""
