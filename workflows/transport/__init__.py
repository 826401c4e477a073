"""How ions move in a trajectory: diffusivity, conductivity, Arrhenius lines, sites."""
