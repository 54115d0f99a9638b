"""The product killed at named places and at random, with a witness outside that writes down whatever reached it.

`make chaos` (`python -m tests.chaos`) kills it a thousand times and writes docs/chaos.md; a few kills are in the suite.

What it has found so far, each mended, with a test of its own:

- A periodic job killed while its next round lay in the queue stopped the clock for ever (core/jobs.py).
- An answer that a newer message dropped took its own messages along unanswered (business/messaging/waking.py).
- A worker waited longer after each stop of PostgreSQL, and never less again (core/jobs.py).
- What left was woken by a clock that was not the server's (business/messaging/outbox.py).
- An approved change was given up after two deaths (business/approvals/service.py: five).
- A sender that slept between claim and request sent what somebody else had sent (business/messaging/sending.py).
- A message whose commit was in doubt while PostgreSQL hung, and which was seen after a later one, had that one answered
  again or got no answer (business/messaging/batch.py, `Thread.follows`).
"""
