"""AutoGen's import names: scripts for AutoGen run on Teamrun where AutoGen is not installed.

After `import teamrun.compat.autogen`, `from autogen_agentchat.agents import AssistantAgent` gives
the class of Teamrun; so do `autogen_core`, `autogen_ext`, and `autogen` (0.2). Nothing else is
imported until a name is used. `python -m teamrun.compat.autogen script.py` runs a script that does
not import this module.
"""

from teamrun.compat.autogen.finder import install

__all__ = ["install"]

install()
