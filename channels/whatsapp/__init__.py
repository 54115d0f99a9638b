"""The way in from WhatsApp: every webhook is written down before it is acknowledged; what it means comes later."""
