"""Payloads made up to see whether SecureGateway knows more than the examples that it was made with.

Everything is generated from seeds and from sentences written for this purpose; nothing comes from the labelled data.
Set ``a`` may be looked at while rules are written; set ``b`` is only measured, and says how well they carry over.
Sets ``c`` and ``e`` (attacks, and what only looks like one) were written before the training that they measure.
"""
