"""Regularization lab for PyTorch: which regularization does this network need, how strong, and how sure is that?"""

__version__ = "0.1.0"
