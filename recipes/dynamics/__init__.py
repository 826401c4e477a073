"""How fast do ions diffuse at a temperature, and what conductivity follows?"""
