"""A name -> calculator, fingerprint and what it is good for. The only place that imports torch."""
