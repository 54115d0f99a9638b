"""What a reply may be in the chat: text that says what it shows."""

import pytest

from channels import markdown
from prompts.texts import Texts


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("[Pague aqui](https://evil.example/pix)", r"\[Pague aqui\](https://evil.example/pix)"),
        ("![x](https://evil.example/a.png)", r"!\[x\](https://evil.example/a.png)"),
        (r"\[Pague](https://evil.example)", r"\[Pague\](https://evil.example)"),
        (r"\\[Pague](https://evil.example)", r"\\\[Pague\](https://evil.example)"),
        ("[a][b]\n\n[b]: https://evil.example", "\\[a\\]\\[b\\]\n\n\\[b\\]: https://evil.example"),
        ("**Padaria Sol** gastou R$ 10,00", "**Padaria Sol** gastou R$ 10,00"),
        ("Ao vivo em [Atendimento](/chat/inbox).", "Ao vivo em [Atendimento](/chat/inbox)."),
        ("[Abrir](/chat/inbox/chat_01a) [b](//evil.example)", r"[Abrir](/chat/inbox/chat_01a) \[b\](//evil.example)"),
        ("[x](/chat/inbox/../files) ![x](/sandbox/phone)", r"\[x\](/chat/inbox/../files) !\[x\](/sandbox/phone)"),
    ],
)
def test_no_link_hides_behind_other_words(said: str, shown: str) -> None:
    assert markdown.answer(said, [], Texts.load(), "pt-BR") == shown
