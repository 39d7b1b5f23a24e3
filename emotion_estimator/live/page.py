"""The page: picture, bars, timeline, conversation and controls, made with NiceGUI."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from html import escape
from typing import Any

from fastapi import FastAPI
from nicegui import run, ui
from nicegui.events import KeyEventArguments

from emotion_estimator.annotation import label_dashes
from emotion_estimator.emotion import VOCABULARIES, FaceEmotion
from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.live.chart import chart
from emotion_estimator.live.feed import Feed
from emotion_estimator.live.history import MINUTE
from emotion_estimator.live.moment import Moment
from emotion_estimator.live.overlay import hex_colour, overlay
from emotion_estimator.live.remark import NOTE, PERSON, Remark

#: Seconds between two pictures, and between two drawings of the timeline.
_PICTURES, _CHARTS = 1 / 15, 0.5
#: Seconds that a browser or this process may stand still before the page loads itself again, which
#: loses what is typed and held: on a small computer both wait for a full processor now and then.
_STALLS = 30.0
#: Lines of the conversation that are shown.
_MOST_LINES = 100
_STYLE = """
.ee-bar { display: grid; grid-template-columns: 5.5rem 1fr 3rem; gap: .5rem; align-items: center }
.ee-track { height: .9rem; border-radius: .2rem; background: rgba(128,128,128,.2) }
.ee-fill { height: 100%; border-radius: .2rem }
.ee-chosen { font-weight: 700 }
.ee-about { font-size: .75rem; opacity: .7 }
.ee-note { font-size: .85rem; font-style: italic; opacity: .8; text-align: center }
.ee-word { font-size: 1.5rem; font-weight: 700 }
.nicegui-content { padding: .5rem }
.q-card { width: 100% }
"""
#: Colour of a chart's axes and letters, by theme: dark or not.
_INK = {True: '#bbb', False: '#555'}
_PREFERS_DARK = "window.matchMedia('(prefers-color-scheme: dark)').matches"


def page_app(feed: Feed) -> FastAPI:
    """Return the application that serves the page.

    :param feed: what it shows; it is told how many pages are open.
    """
    pages: set[str] = set()

    def count(client_id: str, there: bool) -> None:
        (pages.add if there else pages.discard)(client_id)
        feed.watch(len(pages))

    async def index() -> None:
        client = ui.context.client
        client.on_connect(lambda: count(client.id, True))
        client.on_disconnect(lambda: count(client.id, False))
        client.on_delete(lambda: count(client.id, False))
        page = Page(feed)
        page.build()
        await client.connected()
        page.use_theme(dark=await ui.run_javascript(_PREFERS_DARK, timeout=_STALLS))

    ui.page('/', title='emotion_estimator', dark=None)(index)
    # FastAPI would export traces to where variables of the environment say.
    os.environ['FASTAPI_OTEL_AUTO_CONFIGURE'] = 'false'
    served = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    ui.run_with(served, show_welcome_message=False, reconnect_timeout=_STALLS)
    return served


class Page:
    """One open page, with its own pause, face and theme."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        #: Stamp of the moment that is shown; None follows what is new.
        self._at: float | None = None
        self._face: str | None = None
        self._shown: tuple[Moment | None, str | None] = (None, None)
        self._remarks = 0
        self._charted = 0.0
        self._faces: tuple[str, ...] = ()
        self._scrubbing = False

    def build(self) -> None:
        """Put the elements onto the page and begin to refresh them."""
        ui.add_css(_STYLE)
        self._dark = ui.dark_mode(None)
        with ui.row().classes('w-full items-center gap-3 no-wrap'):
            ui.label('emotion_estimator').classes('text-lg font-bold')
            self._title = ui.label().classes('opacity-70 truncate').props('data-testid=title')
            ui.space()
            self._figures = ui.label().classes('text-sm opacity-70').props('data-testid=figures')
            self._theme = ui.button(icon='contrast', on_click=self._turn_theme).props(
                'flat round dense aria-label="light or dark"'
            )
            # Until the browser has said what it prefers, there is nothing to turn.
            self._theme.disable()
        self._status = (
            ui.label()
            .classes('w-full text-orange-9 dark:text-orange-4')
            .props('data-testid=status')
        )
        with ui.grid().classes('w-full gap-3 grid-cols-1 lg:grid-cols-5'):
            with ui.column().classes('lg:col-span-3 w-full gap-3'):
                self._build_picture()
                self._build_timeline()
            with ui.column().classes('lg:col-span-2 w-full gap-3'):
                self._build_face()
                self._build_conversation()
                self._build_settings()
        ui.label(
            'An expression is not a feeling: the robot asks, it does not assert. Images stay on '
            'this machine, in memory, for a minute at most.'
        ).classes('text-xs opacity-70')
        ui.keyboard(on_key=self._on_key)
        ui.timer(_PICTURES, self._refresh)

    def _build_picture(self) -> None:
        with ui.card().tight().classes('items-center'):
            self._picture = (
                ui.interactive_image().classes('w-full self-center').props('data-testid=picture')
            )
        with ui.row().classes('w-full items-center gap-2 no-wrap'):
            self._pause = (
                ui.button(icon='pause', on_click=self._turn_pause)
                .props('dense aria-label="pause or go on"')
                .props('data-testid=pause')
            )
            self._slider = (
                ui.slider(min=-MINUTE, max=0.0, step=0.1, value=0.0, on_change=self._scrub)
                .props('label aria-label="seconds back"')
                .classes('grow')
                .props('data-testid=scrub')
            )
            self._when = ui.label('live').classes('w-16 text-right').props('data-testid=when')
            if 'record' in self._feed.can:
                self._record = ui.button(on_click=self._turn_record)
                self._record.props('dense flat color=red data-testid=record')
                self._show_recording()

    def _build_timeline(self) -> None:
        with ui.card().classes('p-2'):
            self._chart = (
                ui.echart(chart((), None)).classes('w-full h-64').props('data-testid=chart')
            )

    def _build_face(self) -> None:
        with ui.card().classes('gap-1'):
            self._chips = ui.row().classes('gap-1')
            self._readings = ui.html().classes('w-full').props('data-testid=readings')

    def _build_conversation(self) -> None:
        with ui.card().classes('gap-1'):
            self._floor = ui.label().classes('text-sm opacity-70').props('data-testid=floor')
            with ui.scroll_area().classes('w-full h-72') as self._scroll:
                self._chat = ui.column().classes('w-full gap-1').props('data-testid=chat')
            self._held = ui.label().classes('text-xs opacity-70').props('data-testid=held-back')
            with ui.row().classes('w-full items-center no-wrap'):
                words = ui.input('What the person says').classes('grow').props('data-testid=say')

                def say() -> None:
                    self._feed.say(words.value or '')
                    words.value = ''

                words.on('keydown.enter', say)
                ui.button(icon='send', on_click=say).props('dense flat aria-label="say it"')

    def _build_settings(self) -> None:
        known, can = self._feed.changeable(), self._feed.can
        if not known and 'source' not in can:
            return
        with ui.expansion('Source and settings', icon='tune').classes('w-full'):
            if 'source' in can:
                with ui.row().classes('w-full items-center no-wrap'):
                    source = ui.input('portrait, a device number, a file or an address')
                    source.classes('grow').props('data-testid=source')
                    choose = self._asking(lambda: self._feed.choose_source(source.value or ''))
                    source.on('keydown.enter', choose)
                    ui.button('Open', on_click=choose).props('dense').props('data-testid=open')
            if 'vocabulary' in known:
                ui.select(
                    list(VOCABULARIES), label='Vocabulary', value=known['vocabulary'],
                    on_change=lambda event: self._change('vocabulary', event.value),
                ).classes('w-full').props('data-testid=vocabulary')  # fmt: skip
            for name in ('happy_threshold', 'sad_threshold', 'abstain_below'):
                if name in known:
                    self._build_threshold(name, float(known[name]))
            if 'hear_face' in known:
                ui.switch(
                    'A moving mouth counts as speech', value=known['hear_face'],
                    on_change=lambda event: self._change('hear_face', event.value),
                ).props('data-testid=hear-face')  # fmt: skip

    def _build_threshold(self, name: str, value: float) -> None:
        with ui.row().classes('w-full items-center no-wrap'):
            ui.label(name.replace('_', ' ')).classes('w-32 text-sm')
            ui.slider(min=0.0, max=1.0, step=0.01, value=value).on(
                'change', lambda event: self._change(name, float(event.args))
            ).props('label label-always').classes('grow').props(f'data-testid={name}')

    # What the user does.

    def use_theme(self, dark: bool) -> None:
        """Show the page dark or light."""
        self._dark.value = dark
        self._charted = 0.0
        self._theme.enable()

    def _turn_theme(self) -> None:
        self.use_theme(not self._dark.value)

    def _turn_pause(self) -> None:
        newest = self._feed.history.newest
        self._show(None if self._at is not None else (newest.stamp if newest else None))

    def _show(self, at: float | None) -> None:
        """Show the moment at a stamp; None follows what is new."""
        self._at = at
        self._pause.props(f'icon={"pause" if at is None else "play_arrow"}')
        self._charted = 0.0

    def _scrub(self, event: Any) -> None:
        newest = self._feed.history.newest
        if self._scrubbing or newest is None:
            return
        back = float(event.value)
        self._show(None if back >= 0 else newest.stamp + back)

    def _on_key(self, event: KeyEventArguments) -> None:
        if not event.action.keydown:
            return
        if event.key.space:
            self._turn_pause()
        elif event.key.arrow_left or event.key.arrow_right:
            self._step(-1 if event.key.arrow_left else 1)

    def _step(self, steps: int) -> None:
        history = self._feed.history
        at = self._at if self._at is not None else getattr(history.newest, 'stamp', None)
        beside = history.beside(at, steps) if at is not None else None
        if beside is not None:
            self._show(beside.stamp)

    def _turn_record(self) -> None:
        on = not self._feed.recording

        def turn() -> None:
            path = self._feed.record(on)
            self._say(f'recording into {path}' if on else f'recorded {path}')

        self._try(turn)
        self._show_recording()

    def _show_recording(self) -> None:
        on = self._feed.recording
        icon, words = ('stop', 'end the recording') if on else ('fiber_manual_record', 'record')
        self._record.props(f'icon={icon} aria-label="{words}"')

    def _change(self, name: str, value: Any) -> Any:
        return self._asking(lambda: self._feed.change(name, value))()

    def _asking(self, ask: Callable[[], None]) -> Callable[[], Any]:
        """Return a handler that asks beside the page's loop, which must not wait."""

        async def asking() -> None:
            # None once the page is being shut down.
            self._try(await run.io_bound(_caught, ask) or (lambda: None))

        return asking

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except EmotionEstimatorError as error:
            self._say(str(error), 'negative')

    def _say(self, text: str, kind: Any = 'info') -> None:
        ui.notify(text, type=kind, multi_line=True)

    # What is shown.

    def _refresh(self) -> None:
        history = self._feed.history
        moment = history.newest if self._at is None else history.at(self._at)
        self._title.text = self._feed.title
        self._status.text = self._feed.status()
        self._status.visible = bool(self._status.text)
        if (moment, self._face) != self._shown:
            self._shown = moment, self._face
            self._show_moment(moment)
        now = time.monotonic()
        if now - self._charted >= _CHARTS:
            self._charted = now
            self._show_minute()
        self._show_conversation()

    def _show_moment(self, moment: Moment | None) -> None:
        if moment is None:
            return
        jpeg, scale, aspect = moment.image
        if jpeg:
            # The timeline below stays in sight.
            self._picture.style(f'max-width: calc(56vh * {aspect:.3f})')
            picture = base64.b64encode(jpeg).decode()
            self._picture.set_source(f'data:image/jpeg;base64,{picture}')
        # The browser counts in pixels of the shrunk image.
        faces = overlay(moment.faces, moment.height, self._face)
        self._picture.set_content(f'<g transform="scale({scale})">{faces}</g>')
        self._show_chips(moment)
        self._readings.set_content(readings(moment, moment.face(self._face)))
        floor = moment.floor.replace('_', ' ')
        self._floor.text = f'floor: {floor}' if floor else 'no dialogue manager is heard'
        self._held.text = f'held back: {"; ".join(moment.suppressed)}' if moment.suppressed else ''
        self._figures.text = (
            f'{self._feed.history.rate():.1f} images/s · {1e3 * moment.latency:.0f} ms'
        )

    def _show_chips(self, moment: Moment) -> None:
        """Offer the faces to choose from, if there are several."""
        faces = tuple(face.face_id for face in moment.faces)
        if self._face is not None and self._face not in faces:
            self._face = None
        shown = faces if len(faces) > 1 else ()
        if shown == self._faces:
            return
        self._faces = shown
        self._chips.clear()
        with self._chips:
            for name in shown:
                ui.chip(
                    f'face {name}', selectable=True, selected=name == self._face,
                    on_click=lambda name=name: self._choose_face(name),
                ).props('data-testid=face')  # fmt: skip

    def _choose_face(self, face_id: str) -> None:
        self._face = None if self._face == face_id else face_id
        self._faces = ()
        self._charted = 0.0

    def _show_minute(self) -> None:
        moments = self._feed.history.moments()
        self._chart.options.clear()
        self._chart.options.update(
            chart(moments, self._face, self._at, _INK[bool(self._dark.value)])
        )
        self._chart.update()
        back = self._at - moments[-1].stamp if self._at is not None and moments else 0.0
        self._when.text = 'live' if self._at is None else f'{back:.1f} s'
        self._scrubbing = True
        self._slider.value = round(max(back, -MINUTE), 1)
        self._scrubbing = False

    def _show_conversation(self) -> None:
        remarks, self._remarks = self._feed.history.remarks(self._remarks)
        if not remarks:
            return
        with self._chat:
            for remark in remarks[-_MOST_LINES:]:
                _line(remark)
        lines = list(self._chat)
        for old in lines[: len(lines) - _MOST_LINES]:
            self._chat.remove(old)
        self._scroll.scroll_to(percent=1.0)


def _caught(ask: Callable[[], None]) -> Callable[[], None]:
    """Do something in another thread; return what raises its error, for the page's own thread."""
    caught: EmotionEstimatorError | None = None
    try:
        ask()
    except EmotionEstimatorError as error:
        caught = error

    def again() -> None:
        if caught is not None:
            raise caught

    return again


def readings(moment: Moment, face: FaceEmotion | None) -> str:
    """Return HTML of a face's label, bars, directions and speech."""
    truth = f' <span class="ee-about">truth: {escape(moment.truth)}</span>' if moment.truth else ''
    if face is None:
        return f'<div class="ee-word">no face</div>{truth}'
    bars = ''.join(
        f'<div class="ee-bar{" ee-chosen" if label == face.label else ""}">'
        f'<span>{escape(label)}</span><div class="ee-track"><div class="ee-fill" '
        f'style="width:{100 * float(p):.1f}%;{_filling(label)}"></div></div>'
        f'<span>{float(p):.2f}</span></div>'
        for label, p in zip(face.labels, face.probabilities)
    )
    looks = 'looks at the camera' if face.looks_at_camera else 'looks elsewhere'
    speaks = 'speaks' if face.is_speaking else 'does not speak'
    return (
        f'<div><span class="ee-word">{escape(face.label)}</span> {face.confidence:.2f}{truth}'
        f'</div>{bars}<div class="ee-about">head {face.head_yaw:+.0f}° {face.head_pitch:+.0f}° '
        f'{face.head_roll:+.0f}° (yaw, pitch, roll) · {looks} · {speaks} {face.speaking:.2f} · '
        f'valence {face.valence:+.2f}, arousal {face.arousal:+.2f}</div>'
    )


def _filling(label: str) -> str:
    """Return the CSS of a bar: a label's colour, hatched as its line is dashed."""
    colour, dashes = hex_colour(label), label_dashes(label)
    if not dashes:
        return f'background:{colour}'
    on, off = 2 * dashes[0], 2 * (dashes[0] + dashes[1])
    return (
        f'background:repeating-linear-gradient(90deg,{colour} 0 {on:g}px,'
        f'{colour}66 {on:g}px {off:g}px)'
    )


def _line(remark: Remark) -> None:
    if remark.speaker == NOTE:
        with ui.column().classes('w-full gap-0 ee-note'):
            ui.label(remark.words)
            ui.label(remark.about).classes('ee-about')
        return
    with ui.column().classes('w-full gap-0'):
        ui.chat_message(
            remark.words, name=remark.speaker, sent=remark.speaker == PERSON,
            stamp=time.strftime('%H:%M:%S', time.localtime(remark.stamp)),
        ).classes('w-full')  # fmt: skip
        if remark.about:
            ui.label(remark.about).classes('ee-about')
