"""Is a potential right? Its report card."""
