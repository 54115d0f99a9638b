"""A job of four turns for specialists, most of which do not exist yet: declared as crews of ours, for the bench alone.

`Job` says what the bench of the peers (its scenario.py) says to each of them; `own_job` is one like it for
`make bench`, which must do without that folder. The crews go through the registry's own entry (crews/registry.py) and
bring nothing of the bench with them but prompts and tools.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import create_model

from core.turn import LANGUAGES
from crews.registry import CrewEntry
from crews.specialist import Specialist
from tools.spec import Effect, ToolArgs, ToolContext, ToolResult, ToolSpec

_AREA = "ads"
_ROLES = {"prospector": "hunter_google", "sdr": "sdr_whatsapp", "small_talk": "router"}  # others are named alike
_NAMES = {"ads_analyst": "ads"}
_SERVES = {
    "ads_analyst": (),  # what the crew's name says
    "prospector": ("hunter.search",),
    "sdr": ("messages.whatsapp",),
    "content_writer": ("planned.content",),
    "report_generator": ("planned.reports",),
    "small_talk": ("smalltalk",),
}
"""Which of our intents a specialist of the job serves. Small talk our supervisor answers without a model; the job wants
an answer of the model there too, so it has a crew."""


@dataclass(frozen=True)
class Job:
    """`prompts`: specialist → who it is, with "small_talk" among them; `tools`: specialist → plain functions with a
    docstring, which return JSON."""

    prompts: Mapping[str, str]
    tools: Mapping[str, list[Callable[..., str]]]

    def crews(self, folder: Path) -> list[CrewEntry]:
        """The crews; their prompts are written into `folder`, which open_services is told."""
        for name, text in self.prompts.items():
            for language in LANGUAGES:
                (folder / f"job_{name}.{language}.md").write_text(text, encoding="utf-8")
        return [self._crew(name) for name in self.prompts]

    def _crew(self, name: str) -> CrewEntry:
        tools = [_tool(function) for function in self.tools.get(name, [])]
        crew = Specialist(name=_NAMES.get(name, name), role=_ROLES.get(name, name), prompt=f"job_{name}", tools=tools)
        return CrewEntry(
            name=crew.name,
            area=_AREA,
            tools=tools,
            run=crew.run,
            prompts=[crew.prompt],
            starters=[],
            serves=_SERVES[name],
        )


class _Said(ToolResult):
    """A tool's data, handed to the model as they are."""

    data: dict[str, Any]

    def for_model(self) -> Mapping[str, Any]:
        return self.data


def _tool(function: Callable[..., str]) -> ToolSpec:
    """A plain function as one of our tools that read."""
    fields: dict[str, Any] = {
        name: (_TYPES[one.annotation], ... if one.default is inspect.Parameter.empty else one.default)
        for name, one in inspect.signature(function).parameters.items()
    }
    arguments = create_model(f"{function.__name__}_arguments", __base__=ToolArgs, **fields)

    async def run(_context: ToolContext, args: ToolArgs) -> _Said:
        return _Said(data=json.loads(function(**args.model_dump())))

    description = inspect.cleandoc(function.__doc__ or "")
    return ToolSpec(function.__name__, description, arguments, _Said, Effect.READ, _AREA, run)


_TYPES: dict[Any, Any] = {kind: kind for kind in (int, str)} | {"int": int, "str": str, "list[str]": list[str]}


# --- a job of our own -----------------------------------------------------------------------------


@dataclass(frozen=True)
class JobTurn:
    """What the person says, the tools that a good model calls for it, in order, and how long its answer is."""

    text: str
    calls: list[tuple[str, dict[str, Any]]]
    answer_tokens: int


COMPANIES = [f"e{n}" for n in range(10)]
TURNS = {
    "campaigns": JobTurn("Como foram minhas campanhas nos últimos 7 dias?", [("campaign_figures", {"days": 7})], 60),
    "prospecting": JobTurn(
        "Encontra 10 escritórios de arquitetura em Campinas",
        [
            ("find_companies", {"segment": "arquitetura", "city": "Campinas", "limit": 10}),
            ("keep_leads", {"company_ids": COMPANIES}),
        ],
        60,
    ),
    "message": JobTurn("Escreve uma mensagem de WhatsApp pra lead Ana", [("lead_record", {"name": "Ana"})], 80),
    "small talk": JobTurn("oi, obrigado!", [], 12),
}

ANSWERS = {"campaigns": "Campanhas", "prospecting": "Empresas", "message": "Mensagem", "small talk": "De nada"}
"""How the model's answer to each begins, so that a turn which went another way is not counted."""


def campaign_figures(days: int = 7) -> str:
    """Spend, impressions, clicks, leads and ROAS of every campaign over the last days."""
    rows = [{"campaign": f"Campanha {n}", "spend": 90.5 + n, "clicks": 300 + n, "leads": 10 + n} for n in range(6)]
    return json.dumps({"days": days, "campaigns": rows})


def find_companies(segment: str, city: str, limit: int = 10) -> str:
    """Companies of a segment in a city, each with id, name and telephone."""
    rows = [{"id": one, "name": f"Ateliê {one}", "phone": "+55 19 3000-0000", "city": city} for one in COMPANIES]
    return json.dumps({"segment": segment, "companies": rows[:limit]})


def keep_leads(company_ids: "list[str]") -> str:
    """Keep companies, by id, as new leads. Says how many were kept."""
    return json.dumps({"kept": len(company_ids)})


def lead_record(name: str) -> str:
    """The record of a lead: company, stage, last contact, interests."""
    return json.dumps({"name": name, "company": "Ateliê e3", "stage": "qualificada", "interests": ["projeto", "site"]})


def own_job() -> Job:
    """Three specialists with four tools, and small talk."""
    return Job(
        prompts={
            "ads_analyst": "Você lê os números das campanhas com as ferramentas que tem e nunca inventa um. "
            "Responda na língua da pessoa, curto, com o que importa.",
            "prospector": "Você procura empresas por segmento e cidade, guarda como leads as que servem e diz o que "
            "encontrou e guardou.",
            "sdr": "Você lê o registro do lead antes de escrever. Escreva mensagens curtas e cordiais, com um próximo "
            "passo claro.",
            "small_talk": "Você atende uma agência. Responda a cumprimentos em uma frase, na língua da pessoa.",
        },
        tools={
            "ads_analyst": [campaign_figures],
            "prospector": [find_companies, keep_leads],
            "sdr": [lead_record],
        },
    )
