"""Rules on surfaces: one recorded descent, a race of several, the basins of a whole window."""
