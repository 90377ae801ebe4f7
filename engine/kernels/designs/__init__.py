"""What is made of a solver's points: cleaned and certified designs, extremes, mixes, factors."""
