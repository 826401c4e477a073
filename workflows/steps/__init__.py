"""Single calculations: relaxation, bulk modulus, vibrations, several at a time through one potential."""
