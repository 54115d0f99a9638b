"""What a contact says in a burst of messages, as far as rules can tell: what they ask, want, object, let know.

For the playbook. The text is data: nothing in it is an order to us, it only picks among things that this crew does for
everybody. Portuguese, English and Spanish, as people write on a telephone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from business.crm.moments import find_due
from business.messaging.consent import Scope, heard_opt_out
from core.errors import ArgumentsWrong
from core.words import folded, plain, squeezed
from tools.said_times import as_place

_LONGEST = 4_000  # characters of a burst that are looked through
_MOST_QUOTE = 300


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(parts) + r")\b")


_GREETING = re.compile(
    r"^\W*(?:oi+e?|ola|opa|eai|e ai|hey|hi|hello|hola|bom dia|boa tarde|boa noite|buen[oa]s (?:dias|tardes|noches)"
    r"|good (?:morning|afternoon|evening)|tudo bem|td bem|alo)\b"
)
_ONLY_GREETING = re.compile(
    r"\W*(?:(?:oi+e?|ola|opa|eai|e ai|hey|hi|hello|hola|bom dia|boa tarde|boa noite"
    r"|buen[oa]s (?:dias|tardes|noches)"
    r"|good (?:morning|afternoon|evening)|tudo (?:bem|bom|certo)|td bem|alo|como vai"
    r"|how are you|que tal|there)\W*)+"
)
_THANKS = _any(
    r"obrigad[ao]", r"obg", r"valeu", r"vlw", r"grat[ao]", r"agradec\w+", r"thanks?", r"thank you", r"gracias"
)
_BYE = _any(
    r"tchau|ate (?:mais|logo|amanha|breve)|falou|abracos?|bye|see you|adios|hasta luego|era (?:so )?isso"
    r"|so isso|por enquanto e so|that is all|that'?s all|eso es todo"
)
_ROBOT = _any(
    r"quem (?:e|eh) (?:voce|vc)|quem (?:ta |esta )?fala(?:ndo)?"
    r"|com quem (?:eu )?(?:falo|estou falando|to falando)"
    r"|(?:voce|vc|isso|aqui|isto) (?:e|eh) (?:um |uma |o |a )?(?:robo|bot|ia|maquina|humano|humana|pessoa|gente"
    r"|chatgpt)"
    r"|(?:e|eh) (?:um |uma )?(?:robo|bot|ia)\b|robo|inteligencia artificial|chat ?gpt"
    r"|falando com (?:um |uma )?(?:robo|bot|pessoa|humano|maquina|ia)"
    r"|are you (?:a |an )?(?:bot|robot|human|real|person|ai|machine)|who (?:are you|is this|am i talking to)"
    r"|am i talking to|quien (?:eres|habla|es)|eres (?:un |una )?(?:robot|bot|humano|persona|maquina)"
)
_SOMEBODY = (
    r"(?:um |uma |o |a |algum |alguma |com |outro |outra )*(?:atendente|pessoa|humano|alguem"
    r"|gerente|responsavel|vendedor"
    r"|vendedora|consultor|consultora|especialista|dono|dona|gente|supervisor|funcionari[oa])"
)
_PERSON = _any(
    rf"falar (?:direto )?com {_SOMEBODY}",
    rf"(?:quero|queria|preciso d[eo]|chama|chame|me passa|passa pra?|transfere"
    rf"|transferir|pode chamar|me coloca|coloca) (?:um |uma |o |a |com |pra |para |de |pro )*{_SOMEBODY}",
    r"atendimento humano",
    r"pessoa de verdade",
    r"gente de verdade",
    r"nao quero (?:falar com )?(?:robo|bot|maquina)",
    r"(?:talk|speak|chat) (?:to|with) (?:a |an |some |the )?(?:real )?(?:person|human|agent"
    r"|someone|somebody|manager|owner)",
    r"real (?:person|human)",
    r"get me (?:a |an |the )?(?:person|human|manager)",
    r"hablar con (?:una |un |alguna |el |la )?(?:persona|humano|agente|alguien|asesor|encargado|gerente|dueno)",
)
_INSULT = _any(
    r"idiota|burr[oa]s?|imbecil|otari[oa]s?|merda|porra|caralho|vai se \w+|vai tomar \w+|lixo|palhac[oa]s?"
    r"|vagabund[oa]s?|desgrac\w+|fdp|pqp|foda-?se|tomar no \w+|cala a boca|trouxas?|ladr(?:ao|oes)|bandidos?"
    r"|stupid|idiots?|fuck\w*|shit\w*|asshole|morons?|pendej\w+|mierda|estupid\w+|cabron\w*|imbeciles"
)
_ANGRY = _any(
    r"absurdo|palhacada|ridicul[oa]|descaso|processar|procon|reclame aqui|reclamacao|pessim[oa]|horrivel"
    r"|(?:to|estou|fiquei) (?:muito |super )?(?:put[oa]|irritad[oa]|chatead[oa]|furios[oa]|decepcionad[oa]|cansad[oa])"
    r"|cansei|ninguem (?:me )?(?:responde\w*|resolve\w*|retorn\w+|liga\w*|atende\w*)|enrolando"
    r"|perdendo (?:meu )?tempo|falta de respeito|vergonha|inadmissivel|fui enganad[oa]|unacceptable"
    r"|terrible (?:service|experience)|complain\w*|furious|queja|inaceptable|indignad\w+|ridiculous"
    r"|nobody (?:answers|replies|called)"
)
_OTHERS = re.compile(
    r"\boutr[oa]s? (?:clientes?|pessoas?|empresas?|pacientes?)\b|\blistas? de (?:clientes?"
    r"|contatos|leads|e-?mails?)\b"
    r"|\b(?:client\w+|contat\w+|lead) (?:de |do |da )?(?:voces|vcs|agencia|ontem|anterior)\b"
    r"|\b(?:d[aeo]s?|ultim[oa]|algum|alguma|qualquer) (?:ultim[oa]s? |outr[oa]s? |seus |teus |suas )*"
    r"(?:clientes?|compradore?s?|pacientes?|leads?)\b"
    r"|\bother (?:customers?|clients?|people)\b|\b(?:customer|client|contact) list\b"
    r"|\b(?:last|another) (?:customer|client)\b"
    r"|\botros clientes\b|\b(?:ultim[oa]|otr[oa]|del|algun) cliente\b|\bsomeone else\b"
)
_ASKS_FOR_DATA = re.compile(
    r"\b(?:passa|passe|manda|mande|envia|envie|diz|diga|fala|mostra|mostre|lista|liste|quero"
    r"|preciso|qual|quais|quem|tem"
    r"|give|send|show|tell|list|what|who|dame|pasa|muestra|envia|cual|quien)\w*\b"
)
_DATA = re.compile(
    r"\b(?:telefones?|numeros?|contatos?|e-?mails?|nomes?|dados|lista|listas|enderecos?|cpf"
    r"|cnpj|whatsapp|quanto (?:el\w+ )?pag\w+"
    r"|faturamento|conversas?|phones?|numbers?|names?|data|list|details|nombres?|telefonos?|datos|correos?)\b"
)
_INSTRUCTIONS = _any(
    r"ignor\w+ (?:as |todas |suas |all |your |the |previous |tus |tudo |las |any ){0,4}(?:instruc\w+|regras"
    r"|rules|instructions|reglas|acima|above|anterior\w*)"
    r"|(?:seu|teu|your|tu|o|system) prompt|prompt (?:do sistema|de sistema)|suas (?:instruc\w+|regras)"
    r"|your (?:instructions|rules)|tus (?:instrucciones|reglas)"
    r"|modo (?:desenvolvedor|debug|admin|deus|manutencao)|modo de (?:depuracao|teste|manutencao)|voce agora e"
    r"|you are now|ahora eres|\[system\]|developer mode|debug mode|finja (?:que|ser)"
    r"|pretend (?:to be|that|you)|aja como|act as|jailbreak|dan mode|chaves? (?:de )?api|api keys?"
    r"|(?:sua |tua |a )?senhas?|access tokens?|tokens?|passwords?|contrasenas?|variaveis de ambiente"
    r"|repita (?:tudo|o texto|as palavras)|repeat (?:everything|the text|your)"
    r"|instruc(?:oes|ciones) (?:internas|do sistema|del sistema|acima|anteriores)"
)
_OWNER = re.compile(
    r"\b(?:o|a) (?:don[oa]|diretor\w*|gerente|chefe|ceo|patrao|diego"
    r"|ana)\b.{0,40}\b(?:autoriz\w+|liber\w+|promet\w+|combin\w+|deu|deixou|garanti\w+"
    r"|aprov\w+|disse|falou)"
    r"|\b(?:autorizad|liberad|aprovad|combinad|prometid)[oa]s? (?:pel[oa]|com [oa]"
    r"|por) (?:don[oa]|diretor\w*|gerente|chefe|ceo)"
    r"|\b(?:eu )?sou (?:o |a )?(?:don[oa]|ceo|diretor\w*|gerente|chefe|soci[oa]"
    r"|administrador\w*)(?: \w+)? (?:d[aeo]|dessa|desta|daqui|aqui)\b ?(?:agencia|empresa"
    r"|voces|vcs|mutirao|ipe|aqui)?"
    r"|\baqui (?:e|eh|quem fala e) (?:o |a )?(?:don[oa]|ceo|diretor\w*|gerente|chefe)\b"
    r"|\b(?:i'?m|i am|this is) the (?:owner|ceo|manager|boss)\b|\bthe (?:owner|boss|manager"
    r"|ceo)\b.{0,30}\b(?:said|authori[sz]ed|promised|approved|told)"
    r"|\b(?:soy|aqui) (?:el |la )?(?:duen[oa]|gerente|jefe)\b|\b(?:el|la) (?:duen[oa]|gerente"
    r"|jefe)\b.{0,30}\b(?:dijo|autorizo|prometio|aprobo)"
)
_OF_THIS_HOUSE = re.compile(
    r"\b(?:agencia|ipe|mutirao|daqui|voces|vcs|aqui|this (?:company|agency)|esta empresa|dessa empresa)\b"
)
_DISCOUNT = _any(
    r"descont\w+|mais barato|\d+ ?(?:%|por cento|percent)|rola (?:um|uma|algum\w*|de)|abatimento"
    r"|melhor condicao|abaixa\w*|baixar? o (?:preco|valor)|(?:faz|fecha\w*|fechamos|deixa|sai) por"
    r"|faz (?:um )?(?:preco|precinho|valor)|melhora\w* (?:o |esse |nesse )?(?:preco|valor)|negocia\w*|cupom"
    r"|promocao|(?<!conversa e )(?<!reuniao e )(?:gratis|de graca)"
    r"|cortesia|\d+ ?(?:%|por cento) (?:off|de)|discounts?|cheaper"
    r"|lower (?:the )?price|coupon|(?<!call )for free|best price|ultimo preco|descuentos?|rebaja\w*|mas barato"
    r"|menos que isso|tira (?:um|uns)|por menos"
)
_CHEAPEST = re.compile(
    r"\b(?:(?:ess[ae]|o|qual|plano|o plano|opcao|a opcao)(?: e)?(?: o| a)? )mais (?:barat[oa]"
    r"|em conta)\b|\bmais em conta\b"
    r"|\b(?:menor|melhor) (?:preco|valor)\b|\bcheapest\b|\b(?:el|la|lo|plan) mas (?:barat[oa]|economic[oa])\b"
    r"|\blowest price\b"
)
_PRICE = re.compile(
    r"\bquanto (?:custa\w*|e\b(?! \d)|eh\b(?! \d)|fica\w*|sai\w*|que (?:custa|e|fica|sai)|voces cobram"
    r"|vcs cobram|cobra\w*|ta\b|esta\b|vou pagar|pago)"
    r"|\b(?:qual|quais|que|me (?:passa|fala|diz|manda)|passa|saber|sobre) (?:e |eh |sao "
    r"|seria )?(?:o |os |a |as )?(?:preco|precos|valor|valores|tabela|mensalidade|custo"
    r"|custos)"
    r"|^\W*(?:precos?|valor(?:es)?)\W*$|\b(?:precos?|valores)\b.{0,20}\?"
    r"|\bquanto (?:da|dao|daria)\b.{0,25}\b(?:ano|meses|mes|total|tudo)\b|\b(?:por mes ou por ano|mensal ou anual)\b"
    r"|\bper month or (?:per )?year\b|\b(?:por|al) mes o (?:por|al) ano\b"
    r"|\bvalor(?:es)? d[eoa]s? (?:plano|servico)|\b(?:faz|passa|manda|quero|fazer"
    r"|pedir)\w* (?:um |o |meu )?orcamento"
    r"|\bhow much\b|\bpric(?:e|es|ing)\b|\bcosts?\b|\bcuanto (?:cuesta\w*|vale\w*|sale\w*|es|cobran)\b|\bprecios?\b"
)
_PRICE_OF = re.compile(
    r"\b(?:quanto (?:custa\w*|fica\w*|sai\w*|e|eh|que (?:custa|e|fica|sai))|preco|valor"
    r"|how much (?:is|are|does|for)"
    r"|price (?:of|for)|cuanto (?:cuesta\w*|vale\w*|sale\w*|es)|precio)"
    r"(?: (?:o|a|os|as|um|uma|uns|umas|de|do|da|dos|das|the|an?|of|el|la|los|las|un|una|del))+"
    r" (?P<what>[a-z]{3,30})\b"
)
_HOURS = _any(
    r"horarios? de (?:atendimento|funcionamento|atencion)"
    r"|que horas (?:abre\w*|fecha\w*|voces (?:abrem|fecham|atendem))|ate que horas"
    r"|atende\w* (?:aos? |de |no |hoje|no )?(?:sabado\w*|domingo\w*|fim de semana|feriado\w*)"
    r"|(?:abre|abrem|funciona|funcionam) (?:aos? |de |no |hoje|ate )?(?:sabado\w*|domingo\w*|feriado\w*|que horas)"
    r"|(?:estao|ta|esta) abert[oa]s?|(?:opening|business|working) hours|what time do you (?:open|close)"
    r"|open on (?:saturday|sunday|weekends?)|(?:abren|atienden) (?:los )?(?:sabados?|domingos?)"
)
_ADDRESS = _any(
    r"enderecos?|onde (?:fica\w*|e (?:a )?(?:loja|agencia|voces)|voces (?:ficam|estao|sao))|localizacao"
    r"|de onde voces sao|where are you(?: located| based)?|your address|direccion"
    r"|donde (?:estan|queda\w*|se ubican)|ficam onde"
)
_REACH = _any(
    r"(?:qual|tem|me passa|manda) (?:o |um |seu |teu |algum )*(?:site|instagram|e-?mail"
    r"|telefone)(?: de voces| da empresa)?",
    r"(?:your|a) (?:website|site|email)",
    r"(?:tienen|cual es) (?:el |su |un )?(?:sitio|pagina|correo)",
)
_WORKS = _any(
    r"como (?:que )?(?:funciona\w*|e o (?:servico|trabalho|processo)|voces trabalham|vcs trabalham)"
    r"|me explica\w*|how (?:does|do) (?:it|this|you) work|how it works|como (?:trabajan|funciona)"
    r"|como e que (?:e|funciona)"
)
_ABOUT = _any(
    r"o que (?:e que )?(?:voces|vcs) (?:fazem|oferecem|vendem)|(?:quais|que) (?:os |sao os |tipo de )?servicos"
    r"|do que se trata|(?:sobre|e) o que\??$|what (?:do you (?:do|offer|sell)|is this about)"
    r"|(?:que|a que) (?:hacen|ofrecen|se dedican)|fale? (?:mais )?(?:sobre|d[ae]) (?:voces|empresa|agencia)"
    r"|quero saber mais"
)
_LIST = _any(
    r"(?:quais|que|tem|ver|conhecer|sobre) (?:sao )?(?:os |as |outros |seus )?(?:planos|pacotes|opcoes|produtos)",
    r"(?:what|which) (?:plans|packages|options)",
    r"(?:que|cuales) (?:son los )?(?:planes|paquetes|opciones)",
)
_OFFERS = re.compile(
    r"\b(?:voces|vcs|voce|you|ustedes)\b.{0,12}\b(?:fazem|faz|trabalham|atendem|oferecem"
    r"|vendem|cuidam|do|make|sell|offer|work"
    r"|hacen|trabajan|atienden|ofrecen)\b"
)
_MEETING = _any(
    r"agenda(?:r|mos|mento|do)?|agende|marca(?:r|mos)?|marque|reuniao|video ?chamada|demonstracao"
    r"|horarios? (?:disponive\w+|livres?|vag[oa]s?|voces|vcs|voce|vc|tem|tens|para|pra)"
    r"|(?:tem|teria|quais|que) (?:os |algum |alguns |outro |outros )?horarios?"
    r"|quando (?:posso|podemos|da pra|voce pode|voces podem|a gente pode)"
    r"|(?:quero|podemos|bora|vamos|pode(?:mos)?) conversar|schedule|book(?: a| the)?"
    r"|(?:a|the) (?:meeting|call|demo)|appointment|(?:what|which) times?|reunion|una cita|una llamada"
    r"|horarios? (?:disponibles?|libres?)|tem (?:vaga|agenda)"
)
_THEIR_AGENDA = re.compile(
    r"\b(?:ench\w+|lot\w+|preench\w+|fill\w*|llenar) (?:a |minha |nossa |o |my |our |la "
    r"|mi )?(?:agenda|calendar|schedule)\b"
    r"|\b(?:minha|nossa|my|our|mi) (?:agenda|schedule)\b|\bagenda (?:vazia|cheia|lotada|parada)\b"
)
_CANCEL = re.compile(
    r"\b(?:cancel\w+|desmarc\w+)\b.{0,40}\b(?:reuniao|conversa|horario|call|meeting|cita"
    r"|reunion|chamada|agendamento|compromisso)"
    r"|\b(?:desmarc\w+)\b|\bcancel (?:it|the|my)\b|^\W*(?:quero )?cancel(?:a\w*|e)?(?: (?:ai|por favor|please))?\W*$"
)
_MOVE = _any(
    r"remarc\w+|reagend\w+"
    r"|(?:muda\w*|troca\w*|adia\w*|altera\w*) (?:o |a |de |nosso |nossa |pra |para )*(?:horario|reuniao"
    r"|conversa|dia|data)"
    r"|reschedul\w+|reprogram\w+|(?:move|change) (?:the|our|my) (?:meeting|call|time)|outro horario|outro dia"
    r"|cambiar (?:la|el) (?:hora|reunion|cita|horario)"
)
_CANNOT = _any(
    r"nao (?:vou|vai) (?:mais )?(?:poder|conseguir|dar|estar)",
    r"nao (?:posso|podemos|pode(?! ser)|podem(?! ser)|consigo|consegue|da|rola|serve)",
    r"(?:can'?t|cannot|won'?t|doesn'?t work)",
    r"no (?:puedo|puede|podemos|voy a poder|podre)",
)
_IN_LIST = re.compile(r"\b(?:segunda|quarta|quinta|sexta) (?:opc\w+|alternativa|sugestao)\b")
"""Places in a list of times, which are no days of the week."""
_RATHER = _any(r"prefir\w+|prefiero|prefer|melhor|mejor|pode ser|poderia ser|da (?:pra|para) ser|instead")
_NO_SHOW = _any(
    r"nao (?:vou|vai) (?:poder|conseguir|dar)|nao (?:posso|consigo) (?:mais )?(?:ir|participar|nesse|neste)"
    r"|surgiu um imprevisto|i can'?t make it|no (?:voy a poder|puedo ir)"
)
_YES = re.compile(
    r"^\W*(?:sim|s|ss|claro|pode(?: ser| sim)?|quero(?: sim)?|aham|uhum|com certeza|ok|okay"
    r"|blz|beleza|bora|vamos|perfeito|otimo|isso(?: mesmo| ai| sim)?(?=\W*$)"
    r"|fechado|combinado|serve|topo|por favor|yes|yep|sure|ok(?:ay)?|please|of course|si|dale"
    r"|vale|claro|por favor|me sirve)\b|^\s*[👍👌✅]"
)
_NO = re.compile(
    r"^\W*(?:nao|n|nn|agora nao|nao quero|nao precisa|deixa|nope|no(?=\W*$|[,.!])|not now|no thanks"
    r"|no gracias|nada)\b|^\s*👎"
)
_NOT_NOW = _any(
    r"esquece(?:\w| isso| entao)*|desisto|forget it|olvidalo|nao (?:tenho|temos) interesse|sem interesse"
    r"|nao (?:me )?interess\w+|agora nao|nao e (?:o )?momento|mais pra frente|outro momento|not interested"
    r"|not now|maybe later|no me interesa|ahora no|mas adelante|so (?:estou|to) (?:pesquisando|olhando)"
    r"|deixa pra la"
)
_OFF_TOPIC = _any(
    r"torce\w* (?:pra|para|por)|brasileirao|campeonato|matematica|\d+ ?[x*] ?\d+|receitas? (?:de|pra|para)"
    r"|bolos?|poemas?|poesias?|piadas?|capital d[aeo]|traduz\w*|python|javascript|codigo (?:em|de|para|pra)"
    r"|equac\w+|(?:licao|dever|trabalho) (?:de casa|da escola|escolar)|redacao (?:sobre|do enem)|horoscopo"
    r"|signo|previsao do tempo|vai chover|futebol|flamengo|corinthians|palmeiras|jogo d[oe]|elei(?:cao|coes)"
    r"|presidente|lula|bolsonaro|politica|filmes?|series?|letra da musica|remedios?|dor de \w+|sintomas?"
    r"|biblia|bitcoin|cotacao|dolar hoje|escreve\w* (?:um|uma) (?:texto|carta|email|historia)"
    r"|quanto e \d+ ?(?:x|vezes|mais|\+|\*)|recipes?|poems?|weather|football|soccer|president|movies?|jokes?"
    r"|homework|essay|chistes?|recetas?|tarea de|capital of|quem ganhou|que horas sao|me conta uma historia"
    r"|write me (?:a|an)|translate"
)
_QUESTION_WORD = re.compile(
    r"^\W*(?:e |mas |entao |and |but |y )?(?:qual|quais|quando|onde|quem|como|quantos|quantas"
    r"|por ?que|pq|o que|voces"
    r"|vcs|tem|aceita\w*|da pra|what|when|where|who|how|why|do you|does|is there|are there|which|cual|cuando|donde"
    r"|quien|hay|tienen|aceptan)\b"
)
"""How a question without its mark begins."""
_NAME = re.compile(
    r"\b(?:me chamo|meu nome (?:e|é)|aqui (?:e|é) (?:o |a )|sou (?:o|a) (?=[A-ZÀ-Ý])"
    r"|my name is|me llamo|mi nombre es)\s*"
    r"(?P<name>[A-Za-zÀ-ÿ]{2,20}(?: [A-ZÀ-Ý][A-Za-zÀ-ÿ]{1,20})?)",
)
_NO_WORDS = frozenset({"location", "contacts", "sticker"})
"""Kinds of messages that hold no words of the contact's own."""
_FILES = frozenset({"audio", "voice", "image", "video", "document"})
_UNHEARD_KINDS = frozenset({"audio", "voice"})

_SIGN = re.compile(
    r"^\s*\[((?:mensagem de voz|foto|documento|v[ií]deo|figurinha|arquivo|voice note|photo|document|sticker|file"
    r"|mensaje de voz|archivo)\b[^\[\]\n]{0,200})\]\s*",
    re.IGNORECASE,
)
"""How lines of ours begin that stand for a file (prompts/texts, media.yaml)."""
_PLACE = re.compile(r"\(-?\d{1,3}\.\d{3,}, ?-?\d{1,3}\.\d{3,}\)\s*$")
"""A place that was shared, as its line of text: "Loja (-22.900000, -47.060000)"."""
_UNREAD = re.compile(r"\b(?:nao|no|not|could|cannot)\b")
_VOICE = re.compile(r"\b(?:voz|voice|audio)\b")

# --- evidence -----------------------------------------------------------------------------------------

_NEED = _any(
    r"(?:quero|queria|preciso|precisava|busco|procuro|gostaria) (?!saber|falar|ver|agendar|marcar|entender"
    r"|conversar|um atendente|uma pessoa|de um atendente|sair|parar|cancelar|orcamento|um orcamento|desconto)\w+"
    r"|(?:estou|to|tou) (?:buscando|procurando|querendo|precisando)|meu (?:problema|objetivo|desafio)"
    r"|minha (?:dificuldade|meta)"
    r"|nao (?:consigo|estou conseguindo|tenho conseguido) (?:vender|atrair|clientes?|crescer|divulgar|captar)"
    r"|(?:poucos?|falta\w*|mais|novos|trazer|atrair|captar|conseguir) (?:clientes?|vendas|agendamentos"
    r"|pacientes|alunos|leads|seguidores|movimento|pedidos)"
    r"|aumentar (?:as |o |minhas |meu )?\w+|divulgar|vender mais|agenda (?:vazia|parada)"
    r"|(?:loja|clinica|salao|restaurante|academia) (?:vazi[oa]|parad[oa])"
    r"|(?:i|we) (?:want|need|would like) (?!to (?:know|talk|book|schedule|speak))|looking for"
    r"|more (?:customers|clients|sales|leads|patients|bookings)"
    r"|(?:quiero|necesito|busco) (?!saber|hablar|agendar)\w+|mas (?:clientes|ventas|pacientes)"
)
_PLAIN_NEED = re.compile(
    r"\b(?:mais|novos|mas|more|new) (?:clientes?|vendas|pacientes|alunos|leads|pedidos"
    r"|movimento|ventas|customers|clients"
    r"|sales|students|patients|bookings)\b|\b(?:vender mais|divulgar|sell more|vender mas)\b"
)
_NOW = _any(
    r"urgente|o quanto antes|o mais rapido|pra ontem|para ontem|(?:essa|esta|nesta|nessa) semana"
    r"|semana que vem|proxima semana|(?:este|esse|neste|nesse) mes|imediat\w+"
    r"|(?:pra|para) (?:ja|agora|hoje|amanha)|comecar (?:ja|agora|logo|amanha|hoje)|asap|as soon as"
    r"|this (?:week|month)|right away|next week|esta semana|cuanto antes|de inmediato|^agora$|^ja$|hoje mesmo"
    r"|black friday|(?:antes|ate) (?:do |o )?(?:natal|fim do ano|fim de ano)"
    r"|em (?:15|10|20|30|quinze|dez|vinte|trinta) dias"
)
_SOON = _any(
    r"mes que vem|proximo mes|em (?:um|dois|tres|1|2|3) mes(?:es)?|proximos meses|em (?:45|60|90) dias"
    r"|next month|in (?:a|one|two|three|2|3) months?|el mes que viene|dentro de (?:dos|tres) meses"
    r"|comeco do ano|janeiro|january|enero"
)
_LATER = _any(
    r"ano que vem|proximo ano|semestre que vem|proximo semestre|mais pra frente"
    r"|daqui (?:a )?(?:uns|alguns|seis|6) meses|futuramente|next year|el ano que viene|mas adelante"
    r"|in (?:six|6) months"
)
_NO_HURRY = _any(
    r"sem pressa|nao tenho (?:pressa|prazo|data)|so (?:pesquisando|curiosidade|olhando)|no rush|no hurry"
    r"|just looking|sin prisa|solo mirando"
)
_DECIDES = _any(
    r"sou (?:o |a )?(?:don[oa]|proprietari[oa]|unic[oa]|fundador\w*|responsavel)"
    r"|sou eu (?:que|quem|mesm[oa])(?: \w+)?|eu (?:mesm[oa] )?(?:que |quem )?decido"
    r"|(?:decido|resolvo) (?:tudo )?(?:sozinh[oa]|eu)|so eu|eu mesm[oa]"
    r"|minha (?:clinica|loja|empresa|academia|barbearia|confeitaria|marca)"
    r"|meu (?:negocio|consultorio|salao|restaurante|estudio|escritorio)"
    r"|tenho (?:um|uma) (?:clinica|loja|empresa|salao|restaurante|consultorio|academia|estudio|padaria|pizzaria"
    r"|barbearia|escola|negocio)"
    r"|i'?m the (?:owner|founder)|i (?:own|decide|run)|my (?:own )?(?:business|shop|clinic|store|company)"
    r"|soy (?:el |la )?(?:duen[oa]|propietari[oa])|yo decido|mi (?:negocio|clinica|tienda|empresa)"
)
_SHARES = _any(
    r"(?:meu|minha|com o|com a|mais o|mais a) (?:soci[oa]|marido|esposa|mulher|irma[o]?)"
    r"|(?:preciso|tenho que|vou) (?:falar|ver|alinhar|conversar|decidir) com|(?:decidimos|decide) junt[oa]s?"
    r"|my (?:partner|husband|wife)|mi (?:soci[oa]|espos[oa]|marido)|(?:eu e|junto com) (?:meu|minha)"
)
_OTHER = _any(
    r"(?:meu|minha) (?:chefe|gerente|patrao|patroa|diretor\w*)|nao sou eu (?:que|quem)|quem decide e|my boss"
    r"|mi jef[ea]"
)
_BUDGET = _any(
    r"invest\w+|orcamento|verba|gastar|pagar"
    r"|(?:tenho|temos|posso|consigo|ate|uns|cerca de|em torno de|no maximo) (?:ate |uns |r\$ ?)?\d|budget"
    r"|spend|presupuesto|gastar|por mes|a month|al mes|mensa\w+"
)
_BUDGET_OPEN = _any(
    r"depende|nao (?:sei|defini)\w*(?: ainda)?|o que for (?:preciso|necessario)|se valer a pena|depends"
    r"|not sure yet|no se aun|tenho (?:verba|orcamento)|nao e problema"
)
_BUDGET_NONE = _any(
    r"(?:sem|nao tenho|zero) (?:dinheiro|verba|orcamento|grana)|no budget|sin presupuesto|nao posso pagar"
    r"|sem condicoes"
)
_MONEY = re.compile(r"\d")


@dataclass(frozen=True)
class When:
    """A time that the contact named: `day` and `clock` None where they did not."""

    day: date | None
    clock: time | None
    part: str = ""
    wrong: str = ""
    """`past` or `impossible`: it cannot be."""


@dataclass
class Heard:
    """What was understood. Empty values: nothing of the kind was said."""

    text: str
    greeting: bool = False
    only_greeting: bool = False
    thanks: bool = False
    bye: bool = False
    robot: bool = False
    person: bool = False
    opt_out: str = ""
    insult: bool = False
    angry: bool = False
    others_data: bool = False
    instructions: bool = False
    owner_claim: bool = False
    discount: bool = False
    cheapest: bool = False
    price: bool = False
    hours: bool = False
    address: bool = False
    reach: bool = False
    works: bool = False
    offers: bool = False
    """They ask whether we do something that is our business."""
    about: bool = False
    listing: bool = False
    price_asked: str = ""
    """The sentences that ask for prices, for the catalogue."""
    product: str = ""
    """What they ask the price of, in one word: "mesa"."""
    question: str = ""
    """A question that none of the above is, in its own words."""
    off_topic: bool = False
    objection: str = ""
    meeting: bool = False
    cancel: bool = False
    move: bool = False
    when: When | None = None
    rather: bool = False
    """They prefer or accept something: "pode ser", "prefiro"."""
    yes: bool = False
    no: bool = False
    not_now: bool = False
    name: str = ""
    unheard: str = ""
    """A message that could not be read: audio, or other."""
    received: bool = False
    """Files came; what is in them is not the contact's own words."""
    evidence: list[tuple[str, str, str]] = field(default_factory=list)
    """(slot, reading, quote)."""

    @property
    def attack(self) -> bool:
        return self.others_data or self.instructions or self.owner_claim

    @property
    def asks(self) -> bool:
        questions = (
            self.price, self.cheapest, self.hours, self.address, self.reach, self.works, self.about, self.listing,
        )  # fmt: skip
        return any(questions) or bool(self.question) or self.robot or self.discount


def hear(
    text: str,
    brief: dict[str, Any],
    *,
    asked: str = "",
    kinds: tuple[str, ...] = (),
    offered: Sequence[datetime] = (),
    now: datetime,
    zone: str,
) -> Heard:
    """What the burst says. `brief`: result of sdr_brief. `asked`: the slot that our last message asked about;
    `offered`: the times that it offered, local, of which "a segunda" is the second."""
    bare = "" if kinds and set(kinds) <= _NO_WORDS else own_words(text[:_LONGEST].strip())
    signs = [plain(found[1]) for line in text.split("\n") if (found := _SIGN.match(line))]
    read_nothing, text = not bare, bare
    said, words = plain(bare), folded(bare)
    heard = Heard(text, received=bool(signs) or bool(_NO_WORDS & set(kinds)))
    if read_nothing and (signs or _FILES & set(kinds)):
        voice = bool(_UNHEARD_KINDS & set(kinds)) or any(_VOICE.search(sign) for sign in signs)
        unread = not signs or any(_UNREAD.search(sign) for sign in signs)
        heard.unheard = "audio" if voice else "other" if unread else ""
    heard.greeting = bool(_GREETING.search(said))
    heard.only_greeting = bool(said) and bool(_ONLY_GREETING.fullmatch(said))
    if opted := heard_opt_out(text):
        heard.opt_out = text if opted.sure and opted.scope is Scope.ALL else ""
    heard.thanks, heard.bye = bool(_THANKS.search(said)), bool(_BYE.search(said))
    heard.robot, heard.person = bool(_ROBOT.search(said)), bool(_PERSON.search(said))
    heard.insult, heard.angry = bool(_INSULT.search(said)), bool(_ANGRY.search(said))
    heard.instructions = bool(_INSTRUCTIONS.search(said))
    heard.others_data = any(
        _OTHERS.search(one) and _DATA.search(one) and _ASKS_FOR_DATA.search(one)
        for one in re.split(r"(?<=[.!?])\s+|\n", said)
    )
    heard.cheapest = bool(_CHEAPEST.search(said))
    heard.discount = bool(_DISCOUNT.search(_CHEAPEST.sub(" ", said)) or re.search(r"\d ?%", said))
    claims = _OWNER.search(said)
    heard.owner_claim = bool(claims and (heard.discount or _OF_THIS_HOUSE.search(said) or "autoriz" in said))
    heard.price = bool(_PRICE.search(said)) and not heard.person
    if heard.price:
        asking = [one for one in re.split(r"(?<=[.!?])\s+|\n", text) if _PRICE.search(plain(one))]
        heard.price_asked = " ".join(asking)[:200]
        if found := _PRICE_OF.search(plain(heard.price_asked)):
            heard.product = found["what"]
    heard.hours, heard.address = bool(_HOURS.search(said)), bool(_ADDRESS.search(said))
    heard.reach = bool(_REACH.search(said)) and not heard.others_data
    heard.works, heard.about, heard.listing = (bool(p.search(said)) for p in (_WORKS, _ABOUT, _LIST))
    heard.meeting = bool(_MEETING.search(_THEIR_AGENDA.sub(" ", said))) and not heard.hours
    stands = bool(brief.get("meeting"))
    heard.move = bool(_MOVE.search(said)) or (stands and bool(_NO_SHOW.search(said)))
    heard.cancel = stands and bool(_CANCEL.search(said)) and not heard.move
    heard.yes, heard.no = bool(_YES.search(said)), bool(_NO.search(said))
    heard.not_now = bool(_NOT_NOW.search(said))
    if found := _NAME.search(text):
        heard.name = found["name"].strip()
    heard.when = _when(_IN_LIST.sub(" ", as_place(plain(text), offered)), now, zone)
    heard.rather = bool(_RATHER.search(said))
    if stands and heard.when is not None and (heard.when.day or heard.when.clock) and heard.rather:
        heard.move = True
    objections = [
        (len(phrase), one["id"])
        for one in brief.get("objections", [])
        for phrase in one["words"]
        if f" {phrase} " in f" {words} "
    ]
    heard.objection = max(objections)[1] if objections else ""
    on_topic = _on_topic(words, brief)
    heard.offers = on_topic and bool(_OFFERS.search(said))
    heard.off_topic = bool(_OFF_TOPIC.search(said)) and not on_topic and not heard.meeting
    heard.evidence = list(_evidence(text, brief, asked, heard))
    if not (heard.person or heard.off_topic or heard.attack or heard.move or heard.cancel):
        heard.question = _question(text)
    return heard


_ANSWERED = (_PRICE, _CHEAPEST, _HOURS, _ADDRESS, _REACH, _WORKS, _ABOUT, _LIST, _ROBOT, _DISCOUNT, _MEETING)
"""Questions that have an answer of their own."""


def _on_topic(words: str, brief: dict[str, Any]) -> bool:
    named = [folded(item["name"]) for item in brief.get("catalogue", [])]
    padded = f" {words} "
    return any(f" {one} " in padded for one in [*brief.get("topics", []), *named] if one)


def _question(text: str) -> str:
    """The first sentence, or clause beside one that has its own answer, that asks something else."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n", text):
        mixed = any(pattern.search(plain(sentence)) for pattern in _ANSWERED)
        for clause in sentence.split(", ") if mixed else [sentence]:
            said = plain(clause)
            if _ONLY_GREETING.fullmatch(said) or any(pattern.search(said) for pattern in _ANSWERED):
                continue
            if ("?" in clause or _QUESTION_WORD.search(said)) and len(folded(clause).split()) >= 2:
                return clause.strip()[:_MOST_QUOTE]
    return ""


def _when(text: str, now: datetime, zone: str) -> When | None:
    said = squeezed(text)
    part = ""
    if re.search(r"\b(?:de|pela|da) manha\b|\bin the morning\b|\bpor la manana\b|\bmorning\b", said):
        part = "morning"
    elif re.search(r"\b(?:a|de|da|pela) tarde\b|\bafternoon\b|\bpor la tarde\b", said):
        part = "afternoon"
    elif re.search(r"\b(?:a|de|da) noite\b|\bevening\b|\bpor la noche\b", said):
        part = "evening"
    if re.search(r"\b(?:ontem|yesterday|ayer)\b", said):
        return When(None, None, part, "past")
    clauses = re.split(r"[,.;!?\n]+|\bmas\b|\bbut\b|\bpero\b", text)
    can = [one for one in clauses if not _CANNOT.search(plain(one))]
    try:
        due = find_due(", ".join(can) if can else text, now=now, time_zone=zone)
    except ArgumentsWrong as error:
        return When(None, None, part, "past" if error.code == "crm_due_past" else "impossible")
    if due is None:
        return When(None, None, part) if part and not _GREETING.fullmatch(said) else None
    local = due.at.astimezone(ZoneInfo(zone))
    clocked = any(
        re.search(r"\d\s*(?:h|:|am|pm|hs|hrs|hora)|\b(?:as|at|las|la)\s+\d|meio|noon|mediodia", one) for one in due.said
    )
    dated = any(
        not re.fullmatch(r"(?:as?|at|a las?|ate as|by)?\s*\d{1,2}.{0,12}", one) or "/" in one for one in due.said
    )
    clock = local.time().replace(second=0, microsecond=0) if clocked else None
    if clock is not None and clock.hour < 8 and part != "morning" and not re.search(r"\bam\b|madrugada", said):
        clock = clock.replace(hour=clock.hour + 12)  # "às 3": nobody meets at night
    return When(local.date() if dated else None, clock, part)


def _evidence(text: str, brief: dict[str, Any], asked: str, heard: Heard) -> Any:
    """Each slot at most once: the sentence that says it, in the contact's own words."""
    if heard.attack or heard.opt_out:
        return
    found: dict[str, tuple[str, str]] = {}
    sentences = [one.strip()[:_MOST_QUOTE] for one in re.split(r"(?<=[.!?])\s+|\n", text) if one.strip()]
    for sentence in sentences:
        said = squeezed(sentence)
        if _ONLY_GREETING.fullmatch(said):
            continue
        asks = "?" in sentence
        topics = _on_topic(folded(sentence), brief)
        if "need" not in found and _NEED.search(said) and not (asks and _PRICE.search(said)):
            clear = topics or len(said.split()) >= 6 or _PLAIN_NEED.search(said)
            found["need"] = ("clear" if clear else "vague", sentence)
        for reading, pattern in (("none", _NO_HURRY), ("later", _LATER), ("soon", _SOON), ("now", _NOW)):
            wants = asked == "timeline" or (
                _NEED.search(said)
                or re.search(r"\b(?:come[cs]\w+|inici\w+|rodando|start\w*|empez\w+|urgente|prazo)\b", said)
            )
            if "timeline" not in found and wants and pattern.search(said):
                found["timeline"] = (reading, sentence)
        for reading, pattern in (("other", _OTHER), ("shares", _SHARES), ("decides", _DECIDES)):
            if "authority" not in found and pattern.search(said):
                found["authority"] = (reading, sentence)
        if "budget" not in found and not asks and not heard.discount:
            if _BUDGET_NONE.search(said):
                found["budget"] = ("none", sentence)
            elif (
                _MONEY.search(said)
                and (_BUDGET.search(said) or asked == "budget")
                and re.search(r"r\$|\b(?:reais|mil|k|conto)\b|\d{3,}", said)
            ) or (asked == "budget" and _BUDGET_OPEN.search(said)):
                found["budget"] = ("open", sentence)
    if asked and asked not in found and sentences and not heard.asks and not heard.objection and not heard.off_topic:
        whole = sentences[0] if len(sentences) == 1 else max(sentences, key=len)
        said = squeezed(whole)
        if (
            asked == "need"
            and len(said.split()) >= 2
            and "?" not in whole
            and not (heard.person or heard.angry or heard.insult or heard.meeting or heard.cancel or heard.bye)
            and not heard.only_greeting
            and not heard.no
            and not heard.thanks
        ):
            found["need"] = ("clear" if len(said.split()) >= 3 else "vague", whole)
        if asked == "authority" and re.search(r"\b(?:sim|eu|sozinh[oa]|yes|me|si|yo|solo)\b", said):
            found["authority"] = ("decides", whole)
        if asked == "authority" and re.search(r"\b(?:nos|gente|junt[oa]s|we|nosotros)\b", said):
            found["authority"] = ("shares", whole)
    for slot, (reading, quote) in found.items():
        yield slot, reading, quote


def own_words(text: str) -> str:
    """What the contact wrote or said: without the lines of ours that stand for files (prompts/texts, media.turn.*:
    "[Foto, descrita] …"); of a voice note that was heard, its words."""
    kept = []
    for line in text.split("\n"):
        if _PLACE.search(line):
            continue
        found = _SIGN.match(line)
        if found is None:
            kept.append(line)
        elif _VOICE.search(plain(found[1])):
            kept.append(line[found.end() :])
    return "\n".join(line.strip() for line in kept if line.strip())
