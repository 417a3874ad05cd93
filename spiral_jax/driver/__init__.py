"""Programs of named nodes that run in threads or in lockstep.

Nodes communicate through channels, published parameters and replay;
`program.launch` runs them. Nothing here depends on networks, losses or
environments: nodes receive functions. Import the submodules.
"""
