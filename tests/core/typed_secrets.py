"""One made-up credential of each form that is known, and what must never be seen of it. Put together here, so that no
scanner of repositories takes them for real ones."""

TYPED: dict[str, str] = {
    "Meta": "EAAG" + "m0PX4ZCpsBAJ4tOkenCanary0123456789",
    "OpenAI": "sk-" + "proj-Canary0123456789abcdef",
    "Anthropic": "sk-" + "ant-api03-Canary0123456789",
    "somebody's sk": "sk-" + "live-abcdefgh12345678",
    "Google": "AIza" + "SyCanary0123456789abcdefghijklmno",
    "Groq": "gsk_" + "Canary0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL",
    "Hugging Face": "hf_" + "CanaryabcdefghijklmnopqrstuvwxyzAB",
    "Tavily": "tvly-" + "dev-Canary0123456789abcdef",
    "Resend": "re_" + "Canary12_NKFusih9vKVQknRAQfmFcWCv",
    "Stripe": "sk_" + "live_Canary0123456789abcdef",
    "GitHub, personal": "ghp_" + "Canary0123456789abcdefghijklmnopqrst",
    "GitHub, OAuth": "gho_" + "Canary0123456789abcdefghijklmnopqrst",
    "GitHub, fine-grained": "github_" + "pat_11CANARY0abcdefghijkl_0123456789abcdefghijklmnopqrst",
    "Slack, bot": "xox" + "b-1234567890-1234567890123-CanaryabcdefghijklmnoP",
    "Slack, app": "xapp" + "-1-A0CANARY00-1234567890123-abcdef0123456789",
    "AWS": "AKIA" + "CANARY7EXAMPLE00",
    "a JSON web token": "eyJhbGciOiJIUzI1" + "NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnQ2FuYXJ5",
    "a bearer": "Bearer " + "canary.0123456789-abcdefghij",
    "an address with a password": "postgresql://app:" + "Canary0123@db.example:5432/x",
    "a private key": (
        "-----BEGIN RSA " + "PRIVATE KEY-----\nMIICanary0123456789abcdefghijklmnopqrstuvwxyz+/==\n-----END RSA "
        "PRIVATE KEY-----"
    ),
    "a private key that was cut": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnCanary0123456789",
}


def seen_of(secret: str) -> list[str]:
    """What would give the secret away: the parts of it that no ordinary text has."""
    return [part for part in secret.replace(":", " ").replace("@", " ").split() if "anary" in part.lower()] or [secret]
