"""A program of named nodes, joined by handles, run in threads or in lockstep.

Channels, published parameters and replay are the handles; `program.launch`
runs the nodes. Nothing here knows of networks, losses or environments: nodes
are handed functions. Import the submodules, each named for its subject.
"""
