"""Room `orders`: what was asked for, in which state it is, and who agreed."""
