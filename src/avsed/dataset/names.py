"""Names of clips and of their media files."""

import re

# Of media that ffmpeg 9.0 reads (`ffmpeg -h demuxer=...`), without those of pictures, text, raw
# data and playlists: a name may contain a dot, and other files may lie beside the media.
_EXTENSION = re.compile(
    r"\.(3g2|3gp|aac|ac3|aif|aifc|aiff|amr|ape|asf|au|avi|caf|divx|dts|dv|eac3|ec3|f4v|flac|flv|gsm"
    r"|m2a|m2t|m2ts|m2v|m4a|m4b|m4v|mj2|mk3d|mka|mkv|mlp|mov|mp2|mp3|mp4|mpa|mpc|mpe|mpeg|mpg|mts"
    r"|mxf|nist|nut|oga|ogg|ogm|ogv|ogx|opus|ra|rf64|rm|rmvb|shn|snd|sph|spx|tak|thd|ts|tta|voc|vob"
    r"|w64|wav|wave|weba|webm|wma|wmv|wv|y4m)$",
    re.IGNORECASE,
)


def clip_id_of(filename: str) -> str:
    """Remove the extension of media from a file name.

    >>> clip_id_of("a.b.wav"), clip_id_of("a.b"), clip_id_of("Yabcdefghijk_0.000_10.000")
    ('a.b', 'a.b', 'Yabcdefghijk_0.000_10.000')
    """
    return _EXTENSION.sub("", filename)


def has_media_extension(filename: str) -> bool:
    """Return whether a file name ends in an extension of media."""
    return _EXTENSION.search(filename) is not None
