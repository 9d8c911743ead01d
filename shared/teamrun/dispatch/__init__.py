"""Telling whatever executes runs to look at one."""
