"""The sample world: a Brazilian agency with two client accounts, and what their ads did on each day.

Everything here is data or a pure function of (seed, entity, date, epoch), so a figure never moves. The epoch is the
day on which this world was first started; `state.py` keeps it on disk. What people write later (pause, resume, budget)
reaches the figures only through the share of a day's demand that was delivered (`delivery.py`).

Planted truths, all counted from the epoch E (see TRUTHS, which tests and evals read):

1. Fatigued creative: the ad "Vídeo 03 | Provador" wears out from E-24 on. Frequency rises, the click rate falls every
   day, the cost per purchase more than doubles within three weeks, and it goes on spending. It stays tired after E.
2. Broken pixel: the campaign "[VENDAS] Ofertas da Semana | Página nova" has no purchase event from E-8 on, while
   clicks, landing page views, carts and started checkouts stay normal. The sales page lost its tag; the ads are fine.
3. Budget-limited winner: "[VENDAS] Remarketing | Carrinho abandonado" has the best return of its account and would
   spend about 2.5 times its daily budget; it spends the whole budget every day.
4. Weekend seasonality: Loja Aurora sells more on Saturday and Sunday; Clínica Vitória hardly runs then.
5. Two days without data: Clínica Vitória delivered nothing on E-13 and E-12 (its balance was empty), and again every
   28 days before and after.

The story goes on after E without an end: in a sandbox that is months old the ad is still tired and the pixel still
broken, but what they were like before has left every usual window. `mutirao reset` begins a new world.

Sources of the orders of magnitude (CPM, click and conversion rates in BRL): plausible values chosen for this sample,
not market statistics.
"""

import hashlib
import math
import struct
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property, lru_cache
from typing import Any

TIME_ZONE = "America/Sao_Paulo"
DAYS_BEFORE_EPOCH = 90
"""The first day with figures is this many days before the epoch: 90 whole days and a partial today."""

BUSINESS_ID = "300000000000001"
BUSINESS_NAME = "Agência Ipê"
USER_ID = "300000000000002"
USER_NAME = "Sistema Agência Ipê"
PAGE_IDS = {"act_100000000000001": "310000000000001", "act_100000000000002": "310000000000002"}
PIXEL_IDS = {"act_100000000000001": "320000000000001", "act_100000000000002": "320000000000002"}


@dataclass(frozen=True)
class Account:
    id: str
    name: str
    weekdays: tuple[float, ...]
    """Factor on the demand of Monday … Sunday."""
    weekend_conversion: float
    """Factor on the conversion rates on Saturday and Sunday."""
    attribution: tuple[tuple[str, int], ...]
    """The attribution setting of all its ad sets: (event type, window in days)."""
    people: int
    """How many people its ads can reach altogether."""
    silent_every: int | None = None
    """With a value: no delivery on E-13 and E-12 and every so many days before and after."""


@dataclass(frozen=True)
class Ad:
    id: str
    name: str
    share: float
    """Of its ad set's demand."""
    people: int
    """Size of the audience it circles in."""
    appeal: float = 1.0
    """Factor on the campaign's click rate."""
    conversion: float = 1.0
    """Factor on the campaign's conversion rate."""


@dataclass(frozen=True)
class Adset:
    id: str
    name: str
    share: float
    """Of its campaign's demand."""
    ads: tuple[Ad, ...]
    daily_budget: int | None = None
    """In Meta's units (centavos)."""
    lifetime_budget: int | None = None


@dataclass(frozen=True)
class Campaign:
    id: str
    account_id: str
    name: str
    objective: str
    demand: int
    """Centavos a day that it would spend on an average day if its budget allowed."""
    cpm: float
    """Reais for a thousand impressions."""
    click_rate: float
    """Link clicks per impression."""
    adsets: tuple[Adset, ...]
    goal: str
    destination: str
    """optimization_goal and destination_type of its ad sets."""
    daily_budget: int | None = None
    lifetime_budget: int | None = None
    page_view_rate: float = 0.0
    """Landing page views per link click; 0 where people do not land on a site."""
    purchase_rate: float = 0.0
    """Purchases per link click."""
    order_value: float = 0.0
    """Reais."""
    form_lead_rate: float = 0.0
    site_lead_rate: float = 0.0
    conversation_rate: float = 0.0
    """Each per link click."""
    engagement_rate: float = 0.004
    """Reactions per impression."""
    video_rate: float = 0.12
    """Three-second video views per impression."""
    paused_since: int | None = None
    """With a value: paused by its owner that many days before the epoch."""


ACCOUNTS = (
    Account(
        "act_100000000000001",
        "Loja Aurora",
        weekdays=(0.90, 0.92, 0.94, 0.98, 1.02, 1.26, 1.32),
        weekend_conversion=1.10,
        attribution=(("CLICK_THROUGH", 7), ("VIEW_THROUGH", 1)),
        people=900_000,
    ),
    Account(
        "act_100000000000002",
        "Clínica Vitória",
        weekdays=(1.16, 1.18, 1.15, 1.12, 1.05, 0.50, 0.38),
        weekend_conversion=0.85,
        attribution=(("CLICK_THROUGH", 7),),
        people=350_000,
        silent_every=28,
    ),
)

_SITE = "WEBSITE"
_AURORA, _VITORIA = ACCOUNTS[0].id, ACCOUNTS[1].id

CAMPAIGNS = (
    Campaign(
        "120100000000000001", _AURORA, "[VENDAS] Remarketing | Carrinho abandonado", "OUTCOME_SALES",
        demand=30_000, daily_budget=12_000, cpm=31.0, click_rate=0.021, page_view_rate=0.84,
        purchase_rate=0.052, order_value=236.0,
        goal="OFFSITE_CONVERSIONS", destination=_SITE,
        adsets=(
            Adset("120200000000000001", "Carrinho abandonado 14 dias", 0.60, ads=(
                Ad("120300000000000001", "Carrossel | Você esqueceu algo", 0.55, 21_000),
                Ad("120300000000000002", "Imagem | Frete grátis", 0.45, 19_000, appeal=0.95, conversion=1.04),
            )),
            Adset("120200000000000002", "Visitantes 30 dias", 0.40, ads=(
                Ad("120300000000000003", "Carrossel | Mais vendidos", 0.58, 34_000, appeal=0.97, conversion=0.96),
                Ad("120300000000000004", "Vídeo | Depoimentos de clientes", 0.42, 31_000, appeal=1.03),
            )),
        ),
    ),
    Campaign(
        "120100000000000002", _AURORA, "[VENDAS] Prospecção | Coleção Primavera", "OUTCOME_SALES",
        demand=27_000, daily_budget=42_000, cpm=19.0, click_rate=0.0145, page_view_rate=0.78,
        purchase_rate=0.030, order_value=149.0,
        goal="OFFSITE_CONVERSIONS", destination=_SITE,
        adsets=(
            Adset("120200000000000003", "Semelhantes 1% compradoras", 0.56, ads=(
                Ad("120300000000000005", "Vídeo 03 | Provador", 0.54, 46_000, appeal=1.04),
                Ad("120300000000000006", "Imagem 01 | Vestido floral", 0.46, 120_000, appeal=1.02),
            )),
            Adset("120200000000000004", "Interesses | Moda feminina 25-45", 0.44, ads=(
                Ad("120300000000000007", "Carrossel 02 | Looks do dia", 0.52, 180_000, conversion=0.95),
                Ad("120300000000000008", "Reels 05 | Três jeitos de usar", 0.48, 170_000, appeal=1.06, conversion=0.94),
            )),
        ),
    ),
    Campaign(
        "120100000000000003", _AURORA, "[VENDAS] Ofertas da Semana | Página nova", "OUTCOME_SALES",
        demand=17_500, cpm=20.5, click_rate=0.0155, page_view_rate=0.80,
        purchase_rate=0.028, order_value=139.0,
        goal="OFFSITE_CONVERSIONS", destination=_SITE,
        adsets=(
            Adset("120200000000000005", "Clientes e seguidoras", 0.55, daily_budget=15_000, ads=(
                Ad("120300000000000009", "Imagem | Ofertas até domingo", 0.52, 60_000),
                Ad("120300000000000010", "Vídeo | Vitrine da semana", 0.48, 58_000, appeal=0.98, conversion=1.03),
            )),
            Adset("120200000000000006", "Público amplo | Sudeste", 0.45, daily_budget=12_500, ads=(
                Ad("120300000000000011", "Carrossel | Até 40% off", 0.56, 210_000, appeal=1.02, conversion=0.97),
                Ad("120300000000000012", "Imagem | Peças a partir de R$ 59", 0.44, 190_000),
            )),
        ),
    ),
    Campaign(
        "120100000000000004", _AURORA, "[TRÁFEGO] Blog e lookbook", "OUTCOME_TRAFFIC",
        demand=6_200, cpm=9.5, click_rate=0.026, page_view_rate=0.74,
        goal="LANDING_PAGE_VIEWS", destination=_SITE,
        adsets=(
            Adset("120200000000000007", "Interesses | Tendências", 0.58, daily_budget=6_000, ads=(
                Ad("120300000000000013", "Post | Guia da primavera", 0.55, 90_000),
                Ad("120300000000000014", "Post | Como combinar estampas", 0.45, 88_000, appeal=0.96),
            )),
            Adset("120200000000000008", "Seguidoras do Instagram", 0.42, daily_budget=4_500, ads=(
                Ad("120300000000000015", "Carrossel | Lookbook completo", 0.60, 40_000, appeal=1.05),
                Ad("120300000000000016", "Imagem | Bastidores do ensaio", 0.40, 38_000),
            )),
        ),
    ),
    Campaign(
        "120100000000000005", _AURORA, "[ENGAJAMENTO] Reels da coleção", "OUTCOME_ENGAGEMENT",
        demand=4_800, lifetime_budget=900_000, cpm=7.2, click_rate=0.004, engagement_rate=0.031, video_rate=0.38,
        goal="POST_ENGAGEMENT", destination="ON_POST",
        adsets=(
            Adset("120200000000000009", "Mulheres 18-34 | Capitais", 0.55, ads=(
                Ad("120300000000000017", "Reels 01 | Desfile no ateliê", 0.50, 150_000),
                Ad("120300000000000018", "Reels 02 | Antes e depois", 0.50, 150_000, appeal=1.04),
            )),
            Adset("120200000000000010", "Semelhantes 3% seguidoras", 0.45, ads=(
                Ad("120300000000000019", "Reels 03 | Pergunte à estilista", 0.54, 170_000),
                Ad("120300000000000020", "Enquete | Qual cor você escolhe?", 0.46, 160_000, appeal=0.97),
            )),
        ),
    ),
    Campaign(
        "120100000000000006", _AURORA, "[VENDAS] Liquidação de Inverno", "OUTCOME_SALES",
        demand=14_000, daily_budget=26_000, cpm=18.0, click_rate=0.015, page_view_rate=0.79,
        purchase_rate=0.021, order_value=142.0, paused_since=40,
        goal="OFFSITE_CONVERSIONS", destination=_SITE,
        adsets=(
            Adset("120200000000000011", "Público amplo | Sul e Sudeste", 0.6, ads=(
                Ad("120300000000000021", "Imagem | Últimas peças", 0.5, 140_000),
                Ad("120300000000000022", "Vídeo | Casacos com 50% off", 0.5, 140_000, appeal=1.03),
            )),
            Adset("120200000000000012", "Clientes inativas", 0.4, ads=(
                Ad("120300000000000023", "Carrossel | Sentimos sua falta", 0.55, 30_000, conversion=1.05),
                Ad("120300000000000024", "Imagem | Cupom VOLTA10", 0.45, 30_000),
            )),
        ),
    ),
    Campaign(
        "120100000000000007", _VITORIA, "[WHATSAPP] Agendamento | Harmonização facial", "OUTCOME_ENGAGEMENT",
        demand=13_500, daily_budget=20_000, cpm=16.0, click_rate=0.019, conversation_rate=0.125,
        goal="CONVERSATIONS", destination="WHATSAPP",
        adsets=(
            Adset("120200000000000013", "Mulheres 30-55 | Vitória e Vila Velha", 0.58, ads=(
                Ad("120300000000000025", "Vídeo | Dra. Helena explica", 0.56, 60_000),
                Ad("120300000000000026", "Imagem | Agende pelo WhatsApp", 0.44, 58_000, appeal=0.97),
            )),
            Adset("120200000000000014", "Semelhantes 2% pacientes", 0.42, ads=(
                Ad("120300000000000027", "Carrossel | Resultados naturais", 0.53, 70_000, appeal=1.03),
                Ad("120300000000000028", "Reels | Dúvidas mais comuns", 0.47, 66_000),
            )),
        ),
    ),
    Campaign(
        "120100000000000008", _VITORIA, "[LEADS] Formulário | Avaliação gratuita", "OUTCOME_LEADS",
        demand=9_800, cpm=17.5, click_rate=0.014, form_lead_rate=0.19,
        goal="LEAD_GENERATION", destination="ON_AD",
        adsets=(
            Adset("120200000000000015", "Raio de 15 km da clínica", 0.57, daily_budget=9_000, ads=(
                Ad("120300000000000029", "Imagem | Avaliação sem custo", 0.52, 75_000),
                Ad("120300000000000030", "Vídeo | Conheça a clínica", 0.48, 74_000, appeal=1.02, conversion=0.97),
            )),
            Adset("120200000000000016", "Envolvidos com a página 180 dias", 0.43, daily_budget=7_000, ads=(
                Ad("120300000000000031", "Carrossel | Tratamentos", 0.55, 26_000, conversion=1.04),
                Ad("120300000000000032", "Imagem | Vagas do mês", 0.45, 25_000),
            )),
        ),
    ),
    Campaign(
        "120100000000000009", _VITORIA, "[LEADS] Site | Clareamento dental", "OUTCOME_LEADS",
        demand=7_600, daily_budget=11_500, cpm=18.5, click_rate=0.016, page_view_rate=0.76, site_lead_rate=0.095,
        goal="OFFSITE_CONVERSIONS", destination=_SITE,
        adsets=(
            Adset("120200000000000017", "Adultos 25-50 | Grande Vitória", 0.60, ads=(
                Ad("120300000000000033", "Imagem | Sorriso mais branco", 0.55, 95_000),
                Ad("120300000000000034", "Vídeo | Como funciona o clareamento", 0.45, 92_000, appeal=1.03),
            )),
            Adset("120200000000000018", "Visitantes do site 60 dias", 0.40, ads=(
                Ad("120300000000000035", "Imagem | Condição especial", 0.50, 18_000, conversion=1.05),
                Ad("120300000000000036", "Carrossel | Antes e depois", 0.50, 18_000),
            )),
        ),
    ),
    Campaign(
        "120100000000000010", _VITORIA, "[TRÁFEGO] Instagram | Perfil e localização", "OUTCOME_TRAFFIC",
        demand=3_600, cpm=8.5, click_rate=0.022,
        goal="LINK_CLICKS", destination="INSTAGRAM_PROFILE",
        adsets=(
            Adset("120200000000000019", "Moradores | Vitória", 0.55, daily_budget=3_200, ads=(
                Ad("120300000000000037", "Reels | Tour pela clínica", 0.52, 85_000),
                Ad("120300000000000038", "Imagem | Estamos no seu bairro", 0.48, 84_000, appeal=0.96),
            )),
            Adset("120200000000000020", "Moradores | Vila Velha e Serra", 0.45, daily_budget=2_700, ads=(
                Ad("120300000000000039", "Reels | Equipe Vitória", 0.50, 90_000),
                Ad("120300000000000040", "Imagem | Horários e endereço", 0.50, 90_000),
            )),
        ),
    ),
    Campaign(
        "120100000000000011", _VITORIA, "[WHATSAPP] Vendas | Pacotes de limpeza de pele", "OUTCOME_SALES",
        demand=8_400, cpm=15.0, click_rate=0.018, conversation_rate=0.11,
        goal="CONVERSATIONS", destination="WHATSAPP",
        adsets=(
            Adset("120200000000000021", "Mulheres 22-40 | Grande Vitória", 0.55, daily_budget=7_500, ads=(
                Ad("120300000000000041", "Imagem | Pacote com 3 sessões", 0.5, 80_000),
                Ad("120300000000000042", "Vídeo | Passo a passo da limpeza", 0.5, 78_000, appeal=1.02),
            )),
            Adset("120200000000000022", "Pacientes e semelhantes 1%", 0.45, daily_budget=6_200, ads=(
                Ad("120300000000000043", "Carrossel | Pele de verão", 0.40, 40_000),
                Ad("120300000000000044", "Imagem | Indique uma amiga", 0.32, 39_000, appeal=0.98),
                Ad("120300000000000045", "Reels | Antes e depois real", 0.28, 41_000, appeal=1.04),
            )),
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Truths:
    """The planted truths by id and by days counted from the epoch (negative: before it)."""

    fatigued_ad: str = "120300000000000005"
    fatigued_from: int = -24
    fatigued_worst: int = -1
    broken_pixel_campaign: str = "120100000000000003"
    broken_pixel_from: int = -8
    winner_campaign: str = "120100000000000001"
    silent_account: str = _VITORIA
    silent_days: tuple[int, int] = (-13, -12)
    silent_every: int = 28


TRUTHS = Truths()

# --- events --------------------------------------------------------------------------------------

SOURCES = ("click_1d", "click_7d", "click_28d", "view_1d")
"""When a conversion came after the contact that gets the credit: within a day of a click, on days 2-7, on days 8-28,
within a day of a view. They do not overlap; an attribution window adds up the ones it covers."""

CONVERSIONS = ("purchase", "form_lead", "site_lead", "conversation")

EVENTS = (
    "impressions",
    "first_views",  # impressions to people who had not seen the ad on that day: what reach is computed from
    "clicks",
    "link_clicks",
    "landing_page_views",
    "spend",  # centavos
    "video_views",
    "reactions",
    "comments",
    "shares",
    "content_views",
    "carts",
    "checkouts",
    "first_replies",
    *(f"{kind}.{source}" for kind in CONVERSIONS for source in SOURCES),
    *(f"purchase_value.{source}" for source in SOURCES),  # centavos
)
INDEX = {name: place for place, name in enumerate(EVENTS)}
Counts = tuple[int, ...]
"""One number per name in EVENTS."""
NOTHING: Counts = (0,) * len(EVENTS)

_SOURCE_SHARES = {
    "purchase": (0.62, 0.25, 0.12, 0.13),
    "form_lead": (0.97, 0.03, 0.01, 0.0),
    "site_lead": (0.74, 0.18, 0.07, 0.08),
    "conversation": (0.94, 0.06, 0.0, 0.0),
}
"""Shares of SOURCES: click_1d, click_7d and view_1d add up to the default 7-day-click, 1-day-view count;
click_28d comes on top."""


@dataclass(frozen=True)
class World:
    """The ads and their demand, day by day. `epoch` is a date in the accounts' time zone."""

    seed: str
    epoch: date
    campaigns: tuple[Campaign, ...] = CAMPAIGNS
    accounts: tuple[Account, ...] = ACCOUNTS
    _demand: dict[tuple[str, date, float], Counts] = field(default_factory=dict, repr=False, compare=False)

    @property
    def first_day(self) -> date:
        return self.epoch - timedelta(days=DAYS_BEFORE_EPOCH)

    @cached_property
    def places(self) -> dict[str, tuple[Account, Campaign, Adset, Ad]]:
        """Every ad id with all that stands above it."""
        accounts = {account.id: account for account in self.accounts}
        return {
            ad.id: (accounts[campaign.account_id], campaign, adset, ad)
            for campaign in self.campaigns
            for adset in campaign.adsets
            for ad in adset.ads
        }

    def silent(self, account: Account, day: date) -> bool:
        """Truth 5: the account delivered nothing on that day."""
        if account.silent_every is None:
            return False
        days = (day - self.epoch).days - TRUTHS.silent_days[0]
        return days % account.silent_every in (0, 1)

    def fatigue(self, ad_id: str, day: date) -> float:
        """Truth 1: 0 fresh, 1 worn out on the eve of the epoch, creeping to 1.1 after it."""
        if ad_id != TRUTHS.fatigued_ad:
            return 0.0
        days = (day - self.epoch).days - TRUTHS.fatigued_from
        return min(max(days / (TRUTHS.fatigued_worst - TRUTHS.fatigued_from), 0.0), 1.1)

    def pixel_broken(self, campaign_id: str, day: date) -> bool:
        """Truth 2."""
        return campaign_id == TRUTHS.broken_pixel_campaign and (day - self.epoch).days >= TRUTHS.broken_pixel_from

    def demand(self, ad_id: str, day: date, scale: float = 1.0) -> Counts:
        """What the ad counts on the whole day when `scale` (0 to 1) of what it could spend is spent."""
        key = (ad_id, day, scale)
        known = self._demand.get(key)
        if known is None:
            known = self._demand[key] = self._make(ad_id, day, scale)
        return known

    def people(self, ad_id: str, first_views: int) -> float:
        """How many different people saw the ad in a window, given its first views of all days of the window.

        Concave: two days reach fewer people than the sum of each.
        """
        audience = self.places[ad_id][3].people
        return audience * (1.0 - math.exp(-first_views / audience))

    def _make(self, ad_id: str, day: date, scale: float) -> Counts:
        account, campaign, adset, ad = self.places[ad_id]
        if day < self.first_day or self.silent(account, day):
            return NOTHING
        chance = Chance(f"{self.seed}|{ad_id}", day)
        mood = Chance(f"{self.seed}|{campaign.id}", day)
        fatigue = self.fatigue(ad_id, day)
        weekend = day.weekday() >= 5
        drift = 1.0 + 0.05 * math.sin(day.toordinal() / 9.0 + int(campaign.id[-2:]))

        spend = campaign.demand * adset.share * ad.share * account.weekdays[day.weekday()] * drift
        spend *= mood.around(1.0, 0.07) * chance.around(1.0, 0.06) * scale
        cpm = campaign.cpm * 100 * mood.around(1.0, 0.05) * chance.around(1.0, 0.04) * (1.0 + 0.15 * fatigue)
        impressions = spend / cpm * 1000
        repeats = chance.around(1.14, 0.03) + 2.1 * fatigue
        click_rate = campaign.click_rate * ad.appeal * chance.around(1.0, 0.05) * math.exp(-1.2 * fatigue)
        link_clicks = impressions * click_rate
        page_views = link_clicks * campaign.page_view_rate * chance.around(1.0, 0.03)
        conversion = ad.conversion * mood.around(1.0, 0.05) * (account.weekend_conversion if weekend else 1.0)
        conversion *= 1.0 - 0.12 * fatigue

        counts = dict.fromkeys(EVENTS, 0)
        counts["spend"] = int(spend)  # rounded down: all ads together stay within the budget
        counts["impressions"] = round(impressions)
        counts["first_views"] = round(impressions / repeats)
        counts["link_clicks"] = round(link_clicks)
        counts["landing_page_views"] = round(page_views)
        counts["reactions"] = chance.whole(impressions * campaign.engagement_rate * (1 - 0.4 * min(fatigue, 1)))
        counts["comments"] = chance.whole(impressions * campaign.engagement_rate * 0.06)
        counts["shares"] = chance.whole(impressions * campaign.engagement_rate * 0.03)
        counts["video_views"] = round(impressions * campaign.video_rate) if _moves(ad) else 0
        counts["clicks"] = counts["link_clicks"] + chance.whole(link_clicks * 0.34) + counts["comments"]
        if campaign.purchase_rate:
            purchases = link_clicks * campaign.purchase_rate * conversion
            counts["content_views"] = round(page_views * 0.88)
            counts["carts"] = chance.whole(purchases * 3.4)
            counts["checkouts"] = chance.whole(purchases * 1.9)
            if not self.pixel_broken(campaign.id, day):
                _convert(counts, "purchase", purchases, chance)
        if campaign.form_lead_rate:
            _convert(counts, "form_lead", link_clicks * campaign.form_lead_rate * conversion, chance)
        if campaign.site_lead_rate:
            _convert(counts, "site_lead", link_clicks * campaign.site_lead_rate * conversion, chance)
        if campaign.conversation_rate:
            _convert(counts, "conversation", link_clicks * campaign.conversation_rate * conversion, chance)
            counts["first_replies"] = round((counts["conversation.click_1d"] + counts["conversation.click_7d"]) * 0.82)
        for source in SOURCES:
            order = campaign.order_value * 100 * chance.around(1.0, 0.12)
            counts[f"purchase_value.{source}"] = round(counts[f"purchase.{source}"] * order)
        return tuple(counts.values())


def _convert(counts: dict[str, int], kind: str, expected: float, chance: "Chance") -> None:
    click_1d, _, click_28d, view_1d = _SOURCE_SHARES[kind]
    total = chance.whole(expected)
    soon = min(chance.whole(total * click_1d), total)
    seen = min(chance.whole(total * view_1d), total - soon)
    counts[f"{kind}.click_1d"] = soon
    counts[f"{kind}.view_1d"] = seen
    counts[f"{kind}.click_7d"] = total - soon - seen
    counts[f"{kind}.click_28d"] = chance.whole(total * click_28d)


def _moves(ad: Ad) -> bool:
    return ad.name.startswith(("Vídeo", "Reels"))


class Chance:
    """Numbers of one entity and day that look like chance and are a function of their name and day only."""

    def __init__(self, name: str, day: date) -> None:
        self._numbers = iter(_numbers(f"{name}|{day.isoformat()}"))
        self._phases = iter(_phases(name))
        self._turn = day.toordinal() * _GOLDEN

    def around(self, middle: float, spread: float) -> float:
        """`middle`, give or take; `spread` is the greatest relative distance, the ends are rare."""
        return middle * (1.0 + spread * ((next(self._numbers) + next(self._numbers)) / 2**32 - 1.0))

    def threshold(self) -> float:
        """From 0 to below 1, spread evenly over the days."""
        return (next(self._phases) / 2**32 + self._turn) % 1.0

    def whole(self, expected: float) -> int:
        """A whole number next to `expected`. Over a week the sum stays within about one of the expected sum, so that
        an ad with two purchases a day does not look like a falling one by mere chance."""
        return math.floor(expected + self.threshold())


_GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, cut to their decimals, fill the range from 0 to 1 most evenly."""


def _numbers(name: str) -> tuple[int, ...]:
    return struct.unpack(">40I", hashlib.shake_256(name.encode()).digest(160))


_phases = lru_cache(maxsize=None)(_numbers)


def as_record(counts: Counts) -> dict[str, Any]:
    """The counts by name, for the ledger endpoint; what did not happen is left out."""
    return {name: count for name, count in zip(EVENTS, counts, strict=True) if count}
