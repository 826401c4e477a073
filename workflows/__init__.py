"""Steps, results, flows, the store and the one file that knows FireWorks."""
