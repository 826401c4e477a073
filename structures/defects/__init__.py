"""Atoms missing, added or held in a crystal: vacancies, interstitials, voids."""
