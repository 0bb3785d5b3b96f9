"""Proximal maps: ``prox(x, step)`` is the z that minimises ``g(z) + |z - x|^2 / (2 step)``.

Of an indicator function, which is zero on a convex set and infinite elsewhere, it is the projection onto the set. Some
maps act entry by entry. The norm is that of the space; with diagonal weights w, their g is a weighted sum, too:
``sum_i w_i |x_i|``, say. With other weights, entries are coupled, and these maps are not right.
"""
