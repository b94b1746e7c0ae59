//! The files of the tree.

use super::File;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names that the walk skips where there is no git to ask (a source archive).
const SKIPPED: [&str; 3] = [".git", "target", "data"];

/// Every file that git tracks or would track, sorted by path.
pub(super) fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut paths = match listed(root) {
        Some(paths) => paths,
        None => walk(root)?,
    };
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let full = root.join(&path);
        // Deleted but not yet committed, or a link: nothing to check.
        if full.symlink_metadata().is_ok_and(|m| m.is_file()) {
            let bytes = std::fs::read(&full).with_context(|| format!("reading {path}"))?;
            files.push(File { path, bytes });
        }
    }
    Ok(files)
}

fn listed(root: &Path) -> Option<Vec<String>> {
    let git = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(git).current_dir(root).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.split_terminator('\0').map(str::to_owned).collect())
}

fn walk(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let top = folder.as_os_str().is_empty();
            if entry.file_type()?.is_dir() {
                if !(top && SKIPPED.iter().any(|s| entry.file_name() == *s)) {
                    folders.push(path);
                }
            } else {
                found.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walk_and_git_find_this_file() {
        let root = &crate::root();
        let walked = walk(root).unwrap();
        assert!(walked.contains(&"xtask/src/tidy/tree.rs".to_owned()));
        assert!(walked.iter().all(|p| !p.starts_with("target/") && !p.starts_with(".git/")));
        assert!(files(root).unwrap().iter().any(|f| f.path == "xtask/src/tidy/tree.rs"));
    }
}
