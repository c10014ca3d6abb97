"""A stand-in for the grace extension of Supervisor, written from its wire contract.

With it Debian's supervisord and supervisorctl can serve as the reference for grace_update.
"""
