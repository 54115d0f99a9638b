"""When a message may leave, as what, and why not: rules of WhatsApp, of the law and of good manners, as pure functions.

Nothing here asks a database, a network or a clock: whoever decides hands in what is known and what time it is, and gets
an answer that names its rule, its source and until when it holds. The sentences are in prompts/texts (messaging.yaml).

policy.py decides; window.py, pace.py, hours.py, consent.py, attention.py and templates.py hold what it decides by;
failures.py says what a refusal by WhatsApp forbids from then on; turns.py merges bursts; statuses.py joins statuses;
writing.py writes as WhatsApp shows it; settings.py reads policy.yaml, brazil.py the calendar and the zones of Brazil;
clocks.py reads by which clock a contact says an hour.
"""
