"""Devices with one hole each, and the sound one: what an auditor, or any other tester, is checked against.

They run in this process, in virtual time, from the very policy that is meant; keys and images are made up.
"""
