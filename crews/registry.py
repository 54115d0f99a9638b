"""The one list of crews. Routing, starters, help texts, tools and MCP entries come from it.

To add a crew: a folder in crews/ with crew.py and playbook.py, and one entry here (docs/guides/add-a-crew.md).
"""

from dataclasses import dataclass

from crews.ads.crew import run as run_ads
from crews.contract import RunCrew
from crews.crm.crew import run as run_crm
from crews.hunter.crew import run as run_hunter
from crews.messages.crew import run as run_messages
from crews.sdr.crew import run as run_sdr
from tools.ads import ADS_TOOLS
from tools.contact_message import MESSAGING_TOOLS
from tools.crm import CRM_TOOLS
from tools.outreach import OUTREACH_TOOLS
from tools.prospecting import PROSPECTING_TOOLS
from tools.sdr import SDR_TOOLS
from tools.spec import ToolSpec


@dataclass(frozen=True)
class CrewEntry:
    name: str
    """Also the prefix of the intents it serves: `ads` serves ads.overview, ads.pause, …"""
    area: str
    """Its row of the permission matrix: who may not read it is not routed to it."""
    tools: list[ToolSpec]
    run: RunCrew
    prompts: list[str]
    """Names of its prompts that take no variables: what they say is not to be told to anybody."""
    starters: list[str]
    """Text keys of what a newcomer may click first."""
    serves: tuple[str, ...] = ()
    """Intents (prompts/routing/) that it serves beside those of its prefix: one that was planned until now, or one that
    the supervisor would answer itself."""


CREWS = [
    CrewEntry(
        name="ads",
        area="ads",
        tools=ADS_TOOLS,
        run=run_ads,
        prompts=["ads_analyst"],
        starters=["starter.overview", "starter.compare", "starter.pause", "starter.ranking"],
    ),
    CrewEntry(
        name="hunter",
        area="hunter",
        tools=[*PROSPECTING_TOOLS, *OUTREACH_TOOLS],
        run=run_hunter,
        prompts=["hunter"],
        starters=["starter.hunter"],
    ),
    CrewEntry(
        name="crm",
        area="crm",
        tools=CRM_TOOLS,
        run=run_crm,
        prompts=["crm_agent"],
        starters=["starter.crm_board", "starter.crm_save"],
    ),
    CrewEntry(
        name="messages",
        area="messaging",
        tools=MESSAGING_TOOLS,
        run=run_messages,
        prompts=["messages"],
        starters=["starter.messages_waiting"],
    ),
    # For people outside alone: no intent leads here, and its tools run in contacts' turns only.
    CrewEntry(name="sdr", area="sdr", tools=SDR_TOOLS, run=run_sdr, prompts=["sdr"], starters=[]),
]
