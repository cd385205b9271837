"""How durations are shown."""


def duration_text(seconds: float) -> str:
    """Return a duration as `m:ss` or `h:mm:ss`."""
    seconds = max(round(seconds), 0)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
