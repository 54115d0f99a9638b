"""One message of every kind that we can send, with everything in it that may be in it."""

from integrations.whatsapp_cloud import messages as say
from integrations.whatsapp_cloud.messages import Button, Card, Content, HeaderMedia, MediaRef, Row, Section

UPLOADED, LINKED = MediaRef(id="1003383421387256"), MediaRef(link="https://exemplo.com.br/arquivo")
WAMID = "wamid.HBgLNTUxOTk5OTk5OTk5FQIAEhgUM0E5"

EVERY: dict[str, Content] = {
    "text": say.text("Olá! Tudo bem? 😊"),
    "text with a preview": say.text("Veja https://exemplo.com.br", preview=True),
    "image": say.image(UPLOADED, "A fachada"),
    "image by address": say.image(LINKED),
    "video": say.video(UPLOADED, "O passeio"),
    "audio": say.audio(UPLOADED),
    "voice note": say.audio(UPLOADED, voice=True),
    "document": say.document(UPLOADED, "proposta.pdf", "A proposta"),
    "sticker": say.sticker(LINKED),
    "location": say.location(-22.9056, -47.0608, "Escritório", "Rua Coronel Quirino, 100"),
    "contacts": say.contacts(
        [
            Card(
                "Ana Souza",
                ("+5519999990001",),
                ("ana@exemplo.com.br",),
                "Aurora",
                "Vendas",
                ("https://aurora.com.br",),
            ),
            Card("João"),
        ]
    ),
    "reaction": say.reaction(WAMID, "👍"),
    "reaction taken back": say.reaction(WAMID, None),
    "buttons": say.buttons("Pode ser?", [Button("s", "Sim"), Button("n", "Não")], header="Oi", footer="Aurora"),
    "buttons under a picture": say.buttons("Este?", [Button("s", "Sim")], header=HeaderMedia("image", UPLOADED)),
    "list": say.option_list(
        "Qual horário?",
        "Ver horários",
        [
            Section("Amanhã", (Row("1", "9h", "com a Ana"), Row("2", "10h"))),
            Section("Depois", (Row("3", "9h"),)),
        ],
        header="Agenda",
        footer="Horário de Brasília",
    ),
    "list of one section": say.option_list("Qual?", "Ver", [Section(None, (Row("1", "9h"),))]),
    "link": say.link_button("Marque aqui", "Abrir agenda", "https://exemplo.com.br/agenda?x=1", footer="Aurora"),
    "template": say.template("primeiro_contato", "pt_BR", body=["Ana", "Rui", "Aurora", "Vi seu anúncio."]),
    "template with everything": say.template(
        "promo_1",
        "en",
        header=HeaderMedia("document", UPLOADED, "oferta.pdf"),
        body={"first_name": "Ana", "offer": "10%"},
        button_values={0: ("quick_reply", "yes"), 1: ("url", "summer2026")},
    ),
    "template without variables": say.template("hello_world", "en_US"),
}
