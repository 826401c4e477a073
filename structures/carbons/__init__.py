"""Carbon and other two-dimensional hosts: sheets, functional groups, graphite compounds, nanotubes, MXenes."""
