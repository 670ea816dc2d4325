"""The tamper-evident audit log: what is recorded, how it is sealed, and how anyone checks it offline.

``tags`` and ``entry`` make the bytes, ``merkle`` and ``checkpoint`` seal them, ``receipt`` is the evidence a
client keeps, ``verify`` checks a database or an export with nothing but the standard library and ``cryptography``.
"""
