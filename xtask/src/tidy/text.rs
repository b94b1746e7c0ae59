//! Rules for every file: size, machine paths, package sources, unfinished work, shader headers.

use super::{File, Violation};

const FILE_BYTES_MAX: usize = 1 << 20;

/// Words of unfinished work; in pieces, so that this file passes its own rule.
const NOTES_REFUSED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Folders of one machine; in pieces for the same reason.
const PATHS_REFUSED: [&str; 5] = [
    concat!("/", "work/"),
    concat!("/", "root/"),
    concat!("/", "home/"),
    concat!("/", "Users/"),
    concat!("/", "tmp/w"),
];

/// The one place that packages come from.
const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What the header of a shader says, each on a line `// Word: ...`.
const SHADER_HEADER: [&str; 4] = ["Computes", "Bindings", "Owns", "Order"];

/// Checks one file.
pub(super) fn check(file: &File) -> Vec<Violation> {
    let mut found: Vec<Violation> = Vec::new();
    found.extend(size(file));
    let Some(text) = file.text() else { return found };
    found.extend(words(file, text));
    found.extend(package_source(file, text));
    if file.path.starts_with("shaders/") && file.path.ends_with(".wgsl") {
        found.extend(shader_header(file, text));
    }
    found
}

/// Rule `large-file`.
fn size(file: &File) -> Option<Violation> {
    let bytes = file.bytes.len();
    let message = || format!("{bytes} bytes, at most {FILE_BYTES_MAX}");
    (bytes > FILE_BYTES_MAX).then(|| file.violation(1, "large-file", message(), "generate or shrink it"))
}

/// Rules `machine-path` and `note`.
fn words(file: &File, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate() {
        for path in PATHS_REFUSED.iter().filter(|p| starts_word(line, p)) {
            let message = format!("`{path}` is a path of one machine");
            found.push(file.violation(n + 1, "machine-path", message, "make it relative or an option"));
        }
        for note in NOTES_REFUSED.iter().filter(|w| is_word(line, w)) {
            let message = format!("{note} left in");
            found.push(file.violation(n + 1, "note", message, "do it, or describe the limit in prose"));
        }
    }
    found
}

/// Whether `part` stands in `line` with no letter, digit or `.` before it: `src/work/` is no machine path.
fn starts_word(line: &str, part: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')' | '*');
    line.match_indices(part).any(|(at, _)| !line[..at].ends_with(inner))
}

fn is_word(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(letter) && !line[at + word.len()..].starts_with(letter))
}

/// Rule `package-source`: a clean checkout builds from crates.io with no private registry, mirror or git source.
fn package_source(file: &File, text: &str) -> Vec<Violation> {
    let lock = file.path.ends_with("Cargo.lock");
    let config = file.path.contains(".cargo/");
    let foreign = |line: &str| {
        let line = line.trim();
        (lock && line.starts_with("source = ") && line != format!("source = \"{INDEX}\""))
            || (config && ["[source", "[registr", "replace-with"].iter().any(|p| line.starts_with(p)))
    };
    let lines = text.lines().enumerate().filter(|(_, l)| foreign(l));
    let violation = |(n, line): (usize, &str)| {
        let message = format!("not crates.io: {}", line.trim());
        file.violation(n + 1, "package-source", message, "take the package from crates.io")
    };
    lines.map(violation).collect()
}

/// Rule `shader-header`: what a shader computes, its bindings, which output one invocation owns, the order of sums.
fn shader_header(file: &File, text: &str) -> Vec<Violation> {
    let header: Vec<&str> = text.lines().map_while(|l| l.strip_prefix("//")).map(str::trim).collect();
    let says = |word: &str| {
        header.iter().any(|l| l.strip_prefix(word).is_some_and(|l| l.starts_with(':') && l.len() > 1))
    };
    let missing = SHADER_HEADER.iter().filter(|w| !says(w));
    let violation = |word: &&str| {
        let message = format!("the header has no line `// {word}: ...`");
        file.violation(1, "shader-header", message, "add it to the comment at the top")
    };
    missing.map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        check(&file(path, text)).into_iter().map(|v| (v.rule, v.line)).collect()
    }

    #[test]
    fn large_files_are_refused() {
        assert_eq!(rules("a.txt", &"a".repeat(FILE_BYTES_MAX)), []);
        let binary = File { path: "a.bin".to_owned(), bytes: vec![0xff; FILE_BYTES_MAX + 1] };
        assert_eq!(check(&binary).len(), 1);
    }

    #[test]
    fn machine_paths_are_refused() {
        for path in PATHS_REFUSED {
            assert_eq!(rules("a.md", &format!("one\nsee `{path}x`\n")), [("machine-path", 2)], "{path}");
        }
        assert_eq!(rules("a.md", "crates/work/x and https://example.org/home/ and $OUT/tmp/x\n"), []);
    }

    #[test]
    fn notes_are_refused() {
        for note in NOTES_REFUSED {
            assert_eq!(rules("a.rs", &format!("// {note}: later\n")), [("note", 1)]);
            assert_eq!(rules("a.rs", &format!("let my_{note} = MAS{note}S;\n")), []);
        }
    }

    #[test]
    fn packages_come_from_crates_io() {
        let lock = |source: &str| format!("[[package]]\nname = \"a\"\nsource = \"{source}\"\n");
        assert_eq!(rules("Cargo.lock", &lock(INDEX)), []);
        let git = lock("git+https://example.org/a?rev=1#1");
        assert_eq!(rules("Cargo.lock", &git), [("package-source", 3)]);
        assert_eq!(rules("a.md", &git), []);
        let config = "[alias]\na = \"b\"\n[source.crates-io]\nreplace-with = \"m\"\n";
        assert_eq!(rules(".cargo/config.toml", config), [("package-source", 3), ("package-source", 4)]);
    }

    #[test]
    fn shaders_have_their_header() {
        let whole = "// Computes: y = x.\n// Bindings: 0 x\n//   1 y\n// Owns: one pixel\n// Order: rows\nfn main() {}\n";
        assert_eq!(rules("shaders/a.wgsl", whole), []);
        assert_eq!(
            rules("shaders/a.wgsl", &whole.replace("// Owns: one pixel\n", "")),
            [("shader-header", 1)]
        );
        assert_eq!(rules("shaders/a.wgsl", &whole.replace("one pixel", "")).len(), 1, "empty");
        assert_eq!(rules("shaders/a.wgsl", "fn main() {}\n").len(), SHADER_HEADER.len());
    }
}
