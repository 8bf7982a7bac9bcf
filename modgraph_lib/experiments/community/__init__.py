"""Experiments of Understanding the Dynamics of DNNs Using Graph Modularity."""
