"""Nudged elastic bands: images, forces, descent to the saddle, ridges."""
