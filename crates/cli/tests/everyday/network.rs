//! Federations of real processes over TLS on loopback.

use crate::workshop::{Ran, fovea, json, settings, text, words, workshop, write_settings};
use fovea_train::TrainConfig;
use std::path::Path;
use std::time::{Duration, Instant};

fn run(args: &[&str]) -> Ran {
    fovea(&words(args))
}

fn ok(args: &[&str]) -> Ran {
    let ran = run(args);
    assert!(ran.ok, "{args:?}: {}", ran.stderr);
    ran
}

#[test]
fn the_demonstration_goes_from_nothing_to_one_model_at_two_sites() {
    let dir = workshop().path("demo");
    let begin = Instant::now();
    let ran = ok(&["demo", "--dir", &text(&dir)]);
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}: {}", begin.elapsed(), ran.stderr);
    let hash = ran.stdout.split("model hash  ").nth(1).and_then(|s| s.lines().next()).unwrap().to_owned();
    assert_eq!(hash.len(), 64, "{}", ran.stdout);
    let (jon, alice) = (text(&dir.join("jon")), text(&dir.join("alice")));
    let status: serde_json::Value =
        serde_json::from_str(&ok(&["status", "--dir", &jon, "--json"]).stdout).unwrap();
    assert_eq!((&status["stage"], &status["rounds_done"]), (&"over".into(), &2.into()));
    assert!(ok(&["status", "--dir", &jon]).stdout.contains("rounds      2 of 2"));
    let jobs = ok(&["site", "approve", "--dir", &alice]).stdout;
    for part in ["alice", "bob", "(this site)", "never leaves", "WITH TWO SITES", "approved"] {
        assert!(jobs.contains(part), "{part} is missing: {jobs}");
    }
    private_keys_are_private(&dir);
    the_log_is_whole_until_it_is_changed(&dir.join("alice"));
    // The model is an everyday one.
    let digest = status["job_digest"].as_str().unwrap()[..12].to_owned();
    let model = text(&dir.join("bob/jobs").join(digest).join("model.safetensors"));
    let out = text(&workshop().path("demo marked"));
    ok(&["predict", "--model", &model, "--out", &out, &text(&workshop().image(0))]);
    faults_are_found_and_named(&dir);
}

fn private_keys_are_private(dir: &Path) {
    for name in [
        "jon/coordinator.key",
        "jon/authority.key",
        "jon/server.key",
        "alice/identity.key",
        "bob/journal.key",
    ] {
        let path = dir.join(name);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        assert!(path.exists());
    }
}

fn the_log_is_whole_until_it_is_changed(site: &Path) {
    let (dir, path) = (text(site), site.join("audit.jsonl"));
    let found = ok(&["audit", "verify", "--dir", &dir]).stdout;
    for part in ["chained and signed", "rounds      2", "MaskedChunk", "MaskedClose"] {
        assert!(found.contains(part), "{part} is missing: {found}");
    }
    let log = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, log.replacen("\"bytes\":", "\"bytes\":1", 1)).unwrap();
    let changed = run(&["audit", "verify", "--dir", &dir]);
    assert!(!changed.ok && changed.stderr.contains("line "), "{}", changed.stderr);
    std::fs::write(&path, log).unwrap();
}

fn faults_are_found_and_named(dir: &Path) {
    let alice = text(&dir.join("alice"));
    let doctor = run(&["site", "doctor", "--dir", &alice]);
    assert_eq!(doctor.code, Some(1), "the coordinator has ended");
    for part in ["ok    keys", "ok    data", "FAULT network", "fix: ", "FAULT coordinator"] {
        assert!(doctor.stdout.contains(part), "{part} is missing: {}", doctor.stdout);
    }
    let junk = run(&["site", "join", "hello", "--dir", &text(&dir.join("x")), "--data", &text(dir)]);
    assert!(junk.stderr.contains("fovea federation invite"), "{}", junk.stderr);
    let again = run(&["site", "join", "fovea-AAAA", "--dir", &alice, "--data", &text(dir)]);
    assert!(!again.ok, "{}", again.stdout);
    let unknown = run(&["site", "approve", "0123456789ab", "--dir", &alice]);
    assert!(unknown.stderr.contains("no job 0123456789ab"), "{}", unknown.stderr);
    assert!(run(&["status", "--dir", &text(dir)]).stderr.contains("neither"));
    assert!(
        run(&["federation", "invite", "a b", "--dir", &text(&dir.join("jon"))]).stderr.contains("a name")
    );
    let url = ["federation", "init", "--dir", "x", "--name", "x", "--url", "http://x"];
    assert!(run(&url).stderr.contains("begins with https://"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let key = dir.join("alice/identity.key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let doctor = run(&["site", "doctor", "--dir", &alice]).stdout;
        assert!(doctor.contains("FAULT keys") && doctor.contains("chmod 600"), "{doctor}");
    }
}

#[test]
fn processes_killed_at_each_phase_end_in_the_same_model() {
    let dir = text(&workshop().path("kills"));
    let ran = ok(&["demo", "--dir", &dir, "--kills"]);
    assert!(ran.stdout.contains("Again with 12 kills"), "{}", ran.stdout);
}

#[test]
fn the_experiment_over_tls_gives_the_model_of_one_process() {
    let shared = workshop();
    let config = shared.path("network.toml");
    let settings = settings();
    write_settings(
        &config,
        &TrainConfig { steps: 12, steps_per_epoch: 4, average_decay: Some(0.5), ..settings },
    );
    let hash = |name: &str, more: &[&str]| {
        let out = shared.path("repro");
        let mut args = words(&["repro", "--models", "federated", "--name", name, "--out", &text(&out)]);
        args.extend(words(&["--config", &text(&config)]));
        args.extend(words(more));
        let ran = fovea(&args);
        assert!(ran.ok, "{}", ran.stderr);
        json(&out.join(name).join("federated.json"))["model_hash"].as_str().unwrap().to_owned()
    };
    assert_eq!(hash("over tls", &["--network"]), hash("in one process", &[]));
}
