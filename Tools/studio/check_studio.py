"""The studio of a running server, used in a real browser as a person does.

    python check_studio.py http://127.0.0.1:8787 [--shots FOLDER]

Needs Chromium with its driver and the package `selenium`; with `axe-core-python` it also looks for faults that
keep people out, and fails on serious ones.
"""

import argparse
import base64
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import urllib.request

from selenium import webdriver
from selenium.common.exceptions import SessionNotCreatedException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

WIDTHS = {1440: 900, 1024: 768, 390: 844}


class Studio:
    """A browser with the studio in it."""

    def __init__(self, address, shots):
        self.address, self.shots = address.rstrip("/"), shots
        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--mute-audio",
                     "--disable-dev-shm-usage"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if browser:
            options.binary_location = browser
        self.driver = webdriver.Chrome(options=options, service=Service(driver) if driver else None)
        self.driver.set_script_timeout(30)
        self.show(1440)

    def show(self, width, scheme="dark"):
        """Gives the page a width, and the colours that its reader prefers."""
        metrics = {"width": width, "height": WIDTHS[width], "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    # MARK: Finding and waiting

    def all(self, selector):
        return [one for one in self.driver.find_elements(By.CSS_SELECTOR, selector) if one.is_displayed()]

    def one(self, selector, seconds=8):
        return self.wait(lambda: next(iter(self.all(selector)), None), selector, seconds)

    def named(self, name, within=""):
        """The button that is called so, by its words or its label."""

        def find():
            for one in self.all(f"{within} button"):
                if name in (one.text.split("\n")[0].strip(), one.get_attribute("aria-label")):
                    return one
            return None

        return self.wait(find, f"the button {name!r}", 8)

    def wait(self, what, words, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                value = what()
            except Exception as error:  # An element that was just replaced is looked for again.
                value, words = None, f"{words} ({type(error).__name__})" if "(" not in words else words
            if value:
                return value
            time.sleep(0.1)
        self.shot("failed")
        raise AssertionError(f"waited {seconds} s for {words}")

    def click(self, element):
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'nearest'})", element)
        element.click()

    def press(self, *keys):
        chain = webdriver.ActionChains(self.driver)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def make(self):
        chain = webdriver.ActionChains(self.driver)
        chain.key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()

    def fill(self, param, text, within=""):
        control = self.one(f'{within} [data-param~="{param}"] :is(input, textarea)')
        self.driver.execute_script("arguments[0].value = ''", control)
        control.send_keys(text)
        self.driver.execute_script(
            "for (const kind of ['input', 'change']) arguments[0].dispatchEvent(new Event(kind, {bubbles: true}))",
            control)
        return control

    def view(self, name):
        self.click(self.one(f'[data-view="{name}"]'))

    # MARK: The server's own word

    def ask(self, path, method="GET", body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def videos(self):
        return self.ask("/v1/videos?limit=100")["data"]

    def finished(self):
        return [video for video in self.videos() if video["status"] == "completed"]

    def made(self):
        """Waits until one more video than at the last call is done, and gives it."""
        videos = self.wait(lambda: len(found := self.finished()) > self.count and found, "a finished video", 90)
        self.count = len(videos)
        return videos[0]

    def shot(self, name):
        if self.shots:
            self.shots.mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(self.shots / f"{name}.png"))


# MARK: What is checked


def check_making(studio):
    """A clip is made by the keyboard alone; its plan, progress and preview are seen."""
    studio.press("/")
    assert studio.driver.switch_to.active_element.tag_name == "textarea", "/ goes to the prompt"
    studio.press("a red ball bounces on grass")
    studio.click(studio.one("#composer summary"))
    studio.fill("steps", "0")
    studio.wait(lambda: "steps" in studio.one('#composer [data-param="steps"] .field-error').text,
                "the server's words at the field", 10)
    studio.fill("steps", "8")
    plan = studio.wait(lambda: studio.one("#composer .plan strong"), "the plan")
    assert "256" in plan.text, plan.text
    studio.make()
    studio.one(".job.is-running", 20)
    studio.wait(lambda: "Step" in studio.one(".job.is-running .job-state").text, "steps", 40)
    studio.wait(
        lambda: studio.driver.execute_script(
            "const one = document.querySelector('.job.is-running canvas'); return one && one.width < 300 && one.width > 0"
        ), "a preview", 20)
    studio.shot("preview")
    video = studio.made()
    assert video["prompt"] == "a red ball bounces on grass" and video["kino"]["settings"]["steps"] == 8, video
    studio.one(f'.card[data-id="{video["id"]}"]')


def check_second(studio):
    studio.fill("prompt", "a blue cube on snow", "#composer")
    studio.fill("steps", "6", "#composer")
    studio.fill("seed", "7", "#composer")
    studio.click(studio.named("Make", "#composer"))
    studio.made()


def check_timeline(studio):
    """A clip is trimmed and extended; two are connected."""
    studio.view("timeline")
    studio.click(studio.one(".bin-clip"))
    studio.fill("out", "0.75", ".inspector")
    studio.click(studio.named("Extend after", ".toolbar"))
    studio.fill("seconds", "0.5", ".inspector")
    studio.click(studio.one("#timeline summary"))
    studio.fill("steps", "6", "#timeline")
    studio.shot("extend")
    studio.make()
    video = studio.made()
    timeline = video["kino"]["composition"]["timeline"]
    assert timeline[0]["media"]["seconds"] == 0.75, timeline
    assert timeline[1]["shot"]["joins"] == ["previous"], timeline
    assert abs(float(video["seconds"]) - 1.25) < 0.1, video["seconds"]

    studio.click(studio.named("Clear the timeline", ".toolbar"))
    for index in (0, 1):
        studio.wait(lambda: len(studio.all(".bin-clip")) >= 3, "clips to add", 10)
        studio.click(studio.all(".bin-clip")[index + 1])
    studio.click(studio.named("Connect segments 1 and 2", ".strip"))
    studio.fill("seconds", "0.5", ".inspector")
    assert len(studio.all(".segment")) == 3
    studio.wait(lambda: studio.one("#timeline .plan strong"), "the plan")
    for width, scheme in ((1440, "dark"), (1024, "light"), (390, "dark")):
        studio.show(width, scheme)
        time.sleep(0.4)
        studio.shot(f"timeline-{width}-{scheme}")
    studio.show(1440)
    studio.make()
    video = studio.made()
    assert video["kino"]["composition"]["timeline"][1]["shot"]["joins"] == ["previous", "next"], video
    # By the keyboard: to the first segment, past the second, and undo.
    studio.click(studio.one(".segment-open"))
    studio.press(Keys.ARROW_RIGHT)
    assert "New frames 2" in studio.one(".inspector h2").text
    studio.press(Keys.DELETE)
    assert len(studio.all(".segment")) == 2
    webdriver.ActionChains(studio.driver).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    assert len(studio.all(".segment")) == 3, "undo"


def check_storyboard(studio):
    studio.view("storyboard")
    studio.fill("prompt", "a green ball on sand", ".card-edit:nth-child(1)")
    studio.fill("seconds", "0.75", ".card-edit:nth-child(1)")
    studio.click(studio.named("Add card", ".board"))
    studio.fill("prompt", "the ball rolls to the right", ".card-edit:nth-child(2)")
    studio.fill("seconds", "0.5", ".card-edit:nth-child(2)")
    studio.click(studio.one("#storyboard summary"))
    studio.fill("steps", "6", "#storyboard")
    studio.wait(lambda: studio.one("#storyboard .plan strong"), "the plan")
    for width, scheme in ((1440, "light"), (1024, "dark"), (390, "light")):
        studio.show(width, scheme)
        time.sleep(0.4)
        studio.shot(f"storyboard-{width}-{scheme}")
    studio.show(1440)
    studio.make()
    video = studio.made()
    assert video["kino"]["verb"] == "storyboard", video
    assert video["kino"]["composition"]["timeline"][1]["shot"]["joins"] == ["previous"], video


def check_files(studio):
    """Settings come back from a file that is dropped on the page, and from one that is chosen."""
    wanted = next(video for video in studio.finished() if video["prompt"] == "a blue cube on snow")
    with urllib.request.urlopen(f"{studio.address}/v1/videos/{wanted['id']}/content") as answer:
        data = answer.read()
    studio.view("make")
    for field in ("prompt", "seed", "steps"):
        studio.fill(field, "", "#composer")
    studio.driver.execute_script(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), (sign) => sign.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], "cube.mp4", {type: "video/mp4"}));
        document.body.dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: transfer}));
        """, base64.b64encode(data).decode())
    value = lambda param: studio.one(f'#composer [data-param~="{param}"] :is(input, textarea)').get_property("value")
    studio.wait(lambda: value("prompt") == "a blue cube on snow", "the prompt of the file", 10)
    assert value("seed") == "7" and value("steps") == "6", (value("seed"), value("steps"))
    studio.fill("prompt", "something else", "#composer")
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "cube.mp4"
        file.write_bytes(data)
        studio.driver.find_element(By.ID, "open-file").send_keys(str(file))
        studio.wait(lambda: value("prompt") == "a blue cube on snow", "the prompt of the chosen file", 10)


def check_viewer(studio):
    """Frames are walked, marked, starred and compared from the keyboard."""
    studio.view("make")
    studio.click(studio.one(".card-open"))
    studio.one("dialog.viewer")
    studio.wait(lambda: studio.driver.execute_script("return document.querySelector('.viewer video').readyState >= 2"),
                "the clip to play")
    studio.shot("viewer-1440-dark")
    studio.press(Keys.HOME)
    time.sleep(0.3)
    before = studio.one(".viewer .timecode").text
    studio.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    studio.wait(lambda: studio.one(".viewer .timecode").text != before, "a frame on")
    studio.press("i", "l")
    time.sleep(0.4)
    studio.press("k", "o")
    studio.one(".viewer .callout")
    studio.press("s")
    studio.wait(lambda: studio.finished()[0]["kino"]["starred"], "a star", 10)
    studio.press(Keys.ESCAPE)
    assert not studio.all("dialog")
    studio.press("c", Keys.ARROW_RIGHT, "c")
    studio.one("dialog .differences")
    studio.shot("compare-1440-dark")
    studio.press(Keys.ESCAPE)
    studio.press("?")
    studio.one(".key-table")
    studio.shot("keys-1440-dark")
    studio.press(Keys.ESCAPE)


def check_mask(studio):
    """A mask is painted and goes with the edit."""
    studio.click(studio.one(".card-open"))
    studio.click(studio.named("Edit", ".viewer"))
    studio.fill("prompt", "a yellow ball", "#composer")
    studio.click(studio.named("Paint where it may change", "#composer"))
    canvas = studio.one(".mask-canvas", 15)
    chain = webdriver.ActionChains(studio.driver)
    chain.move_to_element_with_offset(canvas, -60, -30).click_and_hold().move_by_offset(90, 60).release().perform()
    studio.shot("mask-1440-dark")
    studio.click(studio.named("Use mask", "dialog"))
    studio.one("#composer .mask-picture", 15)
    studio.wait(lambda: studio.one("#composer .plan strong"), "the plan of the edit")
    studio.click(studio.named("Remove mask", "#composer"))


def check_queue(studio):
    """Jobs wait in their order, move, change, and stop; a reload in the middle finds it all again."""
    studio.click(studio.one('#composer .choice:has([value="generate"])'))
    studio.click(studio.named("Pause", "#queue"))
    studio.wait(lambda: studio.ask("/v1/queue")["paused"], "the pause", 10)
    for words in ("one red cube", "two red cubes"):
        studio.fill("prompt", words, "#composer")
        studio.click(studio.named("Make", "#composer"))
        studio.wait(lambda: words in studio.one(".queue-list").text, words, 10)
    queue = lambda: [video["prompt"] for video in studio.ask("/v1/queue")["data"]]
    studio.click(studio.all('.queue-list [aria-label="Move up"]')[1])
    studio.wait(lambda: queue() == ["two red cubes", "one red cube"], "the new order", 10)
    studio.wait(lambda: "two red cubes" in studio.one(".queue-list .job").text, "it on the page", 10)
    studio.click(studio.all('.queue-list [aria-label="Edit"]')[0])
    studio.fill("prompt", "two green cubes", "dialog")
    studio.fill("steps", "60", "dialog")
    studio.click(studio.named("Save", "dialog"))
    studio.wait(lambda: queue()[0] == "two green cubes", "the change", 10)

    studio.fill("prompt", "a sentence that is not sent yet", "#composer")
    studio.driver.refresh()
    studio.wait(lambda: len(studio.all(".queue-list .job")) == 2, "the queue after a reload", 15)
    prompt = studio.one("#composer textarea.prompt")
    assert prompt.get_property("value") == "a sentence that is not sent yet"
    studio.click(studio.named("Go on", "#queue"))
    studio.wait(lambda: "Step" in studio.one(".job.is-running .job-state").text, "the job to run", 40)
    studio.driver.refresh()
    studio.wait(lambda: "Step" in studio.one(".job.is-running .job-state").text, "its progress after a reload", 20)
    studio.click(studio.named("Stop", "#queue"))
    studio.wait(lambda: any(video["kino"]["status"] == "cancelled" for video in studio.videos()), "the end of it", 20)
    studio.wait(lambda: not studio.ask("/v1/queue")["data"], "the job after it", 60)


def check_delete(studio):
    """A video goes after a while in which that can be undone."""
    count = len(studio.all(".card"))
    studio.one(".card-open").send_keys(Keys.NULL)
    studio.driver.execute_script("document.querySelector('.card-open').focus()")
    studio.press(Keys.DELETE)
    studio.wait(lambda: len(studio.all(".card")) == count - 1, "a card less", 5)
    studio.click(studio.named("Undo", ".notices"))
    studio.wait(lambda: len(studio.all(".card")) == count, "the card again", 5)


def check_looks(studio):
    """Screenshots, and no sideways scrolling at any width."""
    for width in WIDTHS:
        for scheme in ("dark", "light"):
            studio.show(width, scheme)
            for view in ("make", "gallery") if width == 390 else ("make",):
                studio.view(view)
                time.sleep(0.5)
                studio.shot(f"{view}-{width}-{scheme}")
                wide = studio.driver.execute_script("return document.documentElement.scrollWidth")
                assert wide <= width, f"{view} is {wide} wide at {width}"
            if width == 390:
                studio.click(studio.one(".card-open"))
                time.sleep(0.6)
                studio.shot(f"viewer-{width}-{scheme}")
                studio.press(Keys.ESCAPE)
    studio.show(1440)


def check_access(studio):
    """Faults that keep people out, as axe-core finds them."""
    package = importlib.util.find_spec("axe_core_python")
    if not package:
        return "left out: axe-core-python is not installed"
    source = (pathlib.Path(package.origin).parent / "axe.min.js").read_text()

    def look(place):
        studio.driver.execute_script(source)
        found = studio.driver.execute_async_script(
            "const done = arguments[arguments.length - 1]; axe.run(document).then((found) => done(found.violations))")
        faults = [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}" for one in found
            for node in one["nodes"] if one["impact"] in ("serious", "critical")]
        assert not faults, f"{place}:\n" + "\n".join(faults[:12])

    for width, scheme in ((1440, "dark"), (1440, "light"), (390, "light")):
        studio.show(width, scheme)
        for view in ("make", "timeline", "storyboard") + (("gallery", "queue") if width == 390 else ()):
            studio.view(view)
            time.sleep(0.3)
            look(f"{view} at {width}, {scheme}")
    studio.show(1440)
    studio.view("make")
    studio.click(studio.one(".card-open"))
    look("the viewer")
    studio.press(Keys.ESCAPE)
    return None


CHECKS = [
    check_making, check_second, check_timeline, check_storyboard, check_files, check_viewer, check_mask, check_queue,
    check_delete, check_looks, check_access,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("address")
    parser.add_argument("--shots", type=pathlib.Path)
    parser.add_argument("--only", help="names of checks, by comma")
    words = parser.parse_args()
    os.environ.setdefault("SE_OFFLINE", "true")
    try:
        studio = Studio(words.address, words.shots)
    except SessionNotCreatedException as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    failed = 0
    try:
        studio.driver.get(studio.address + "/")
        studio.one("#composer textarea.prompt", 20)
        for check in CHECKS:
            name = check.__name__.removeprefix("check_")
            if words.only and name not in words.only.split(","):
                continue
            # A machine that is busy elsewhere may keep a page waiting too long, but not twice.
            for attempt in (1, 2):
                start = time.monotonic()
                studio.count = len(studio.finished())
                try:
                    note = check(studio)
                    print(f"ok    {name} ({time.monotonic() - start:.1f} s) {note or ''}".rstrip(), flush=True)
                    break
                except Exception as error:
                    failed += attempt == 2
                    studio.shot(f"failed-{name}")
                    print(f"FAIL  {name} ({attempt}): {type(error).__name__}: {error}", flush=True)
                    studio.driver.get(studio.address + "/")
        said = [
            entry["message"] for entry in studio.driver.get_log("browser")
            # Requests that the server refuses, as some here are meant to be, show up too.
            if entry["level"] == "SEVERE" and "Failed to load resource" not in entry["message"]]
        if said:
            failed += 1
            print("FAIL  the browser's console:\n" + "\n".join(said[:10]))
    finally:
        studio.driver.quit()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
