"""Threads: conversations that several runs continue, one after the other."""
