"""`mutirao evals run|list|record|replay`."""

import asyncio
import sys
from pathlib import Path

import click

from core.errors import MutiraoError
from core.settings import Settings, load_settings
from evals import records, report
from evals.players import Product
from evals.runner import Played, play
from evals.scenario import Found, ScenarioWrong, load, load_all
from evals.world import open_stage
from prompts.texts import Texts

OFFLINE = "offline"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def evals() -> None:
    """Avaliação: cenários jogados num mundo pequeno, julgados pelo estado em que o mundo fica."""


@evals.command("list")
@click.option("--scenario", "pattern", default="", help="Expressão regular procurada em grupo/cenário.")
def _list(pattern: str) -> None:
    """Lista os cenários."""
    for found in load_all(pattern=pattern):
        click.echo(f"{found.name:<36} {found.scenario.language:<6} {found.scenario.title}")


@evals.command("run")
@click.option("--scenario", "pattern", default="", help="Expressão regular procurada em grupo/cenário.")
@click.option("--model", default=OFFLINE, show_default=True, help="provedor/modelo, ou offline: só os roteiros.")
@click.option("--k", default=1, show_default=True, type=click.IntRange(1, 100), help="Quantas vezes cada cenário.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Guarda tudo como JSON.")
@click.option("--html", "html_file", type=click.Path(dir_okay=False, path_type=Path), help="Uma página para ler.")
def _run(pattern: str, model: str, k: int, json_file: Path | None, html_file: Path | None) -> None:
    """Joga os cenários e diz o que passou. Termina com 1 quando algo falha."""
    scenarios = load_all(pattern=pattern)
    if not scenarios:
        raise click.BadParameter(f"nenhum cenário com {pattern!r}; veja `mutirao evals list`", param_hint="--scenario")
    found = report.lines(asyncio.run(_play(scenarios, settings_for(model), k)))
    if json_file:
        report.write_json(json_file, found, model)
    if html_file:
        report.write_html(html_file, found, model)
    failed = [one for line in found for one in line.played if not one.passed]
    click.echo("".join(f"\n{report.block(one)}\n" for one in failed))
    click.echo(report.summary(found, model))
    sys.exit(1 if failed else 0)


async def _play(scenarios: list[Found], settings: Settings, k: int) -> list[Played]:
    width = max(len(found.name) for found in scenarios)
    waiting: list[Played] = []

    def told(one: Played) -> None:
        waiting.append(one)
        if len(waiting) == k:
            click.echo(report.row(report.lines(waiting)[0], width))
            waiting.clear()

    async with open_stage(settings) as stage:
        await stage.services.warm()
        click.echo(report.header(width))
        return await play(stage, scenarios, Product(), k=k, told=told)


@evals.command("record")
@click.argument("name")
@click.option("--scenario", required=True, help="grupo/cenário que é a conversa, ou um arquivo .yaml.")
@click.option("--url", required=True, help="Endereço compatível com OpenAI de hand_model, com /v1.")
@click.option("--hand", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="Sua pasta.")
@click.option("--model", default="hand", show_default=True, help="Nome do modelo nos pedidos.")
@click.option("--about", default="", help="O que se quis ver, e o que mudou por causa disso.")
@click.option("--scouts", is_flag=True, help="Também os caçadores de fundo perguntam ao modelo, empresa por empresa.")
def _record(name: str, scenario: str, url: str, hand: Path, model: str, about: str, scouts: bool) -> None:
    """Joga um cenário com um modelo respondido à mão e guarda a conversa em evals/records/NOME."""
    file = Path(scenario) if scenario.endswith(".yaml") else None
    found = Found(name, load(file)) if file else next((one for one in load_all() if one.name == scenario), None)
    if found is None:
        raise click.BadParameter(f"não há cenário {scenario!r}; veja `mutirao evals list`", param_hint="--scenario")
    folder = records.FOLDER / name
    kept = records.record(folder, found, url=url, hand=hand, model=model, about=about, scenario=file, scouts=scouts)
    asyncio.run(kept)
    click.echo(folder)


@evals.command("replay")
@click.argument("name", required=False)
@click.option("--accept", is_flag=True, help="Guarda o que as respostas gravadas dão agora.")
def _replay(name: str | None, accept: bool) -> None:
    """Toca de novo as conversas guardadas e diz o que mudou. Termina com 1 quando algo mudou."""
    which = [records.FOLDER / name] if name else records.folders()
    if accept:
        for folder in which:
            click.echo(f"{'accepted' if asyncio.run(records.accept(folder)) else 'same':<8} {folder.name}")
        return
    changed = asyncio.run(records.replay_all(which))
    for folder, differences in changed.items():
        click.echo(f"{'same' if not differences else 'CHANGED':<8} {folder.name}")
        for difference in differences:
            click.echo(f"         {difference}")
    sys.exit(1 if any(changed.values()) else 0)


def settings_for(model: str) -> Settings:
    """The settings of a run. Who names a model means to use and pay it: its key is read, although evals ignore keys."""
    if model == OFFLINE:
        return Settings(model=OFFLINE, ignore_provider_keys=True, log_level="ERROR")
    return load_settings(model=model, ignore_provider_keys=False, log_level="ERROR")


def main() -> None:
    """The command; every known failure is one sentence."""
    try:
        evals(prog_name="mutirao evals")
    except (ScenarioWrong, records.RecordBroken) as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except MutiraoError as error:
        click.echo(Texts.load().error("pt-BR", error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
