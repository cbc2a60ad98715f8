"""Pictures of runs, races and basins. Every function takes ``ax`` (or ``fig``) and returns it; none shows a window."""
