"""Hostile input for `tools/hostile.py`, one module for each few groups"""
