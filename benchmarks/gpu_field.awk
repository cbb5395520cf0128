# A member of the JSON object in the line, without quotes; "" where it has none.
function field(name,    text) {
    if (!match($0, "\"" name "\": (\"[^\"]*\"|[^,}]*)")) return ""
    text = substr($0, RSTART, RLENGTH)
    sub(/^"[a-z0-9_]*": /, "", text)
    gsub(/"/, "", text)
    return text
}
