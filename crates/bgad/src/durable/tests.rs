use super::*;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn old_leavings_of_the_same_file_are_swept_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let old = std::time::SystemTime::now() - 2 * LEFT_BEHIND;
    for name in [".a.bgad.17.new", ".a.bgad.Xy0.new", ".a.bgad.x-y.new", ".b.bgad.17.new", "a.bgad.17.new"] {
        File::create(folder.join(name)).unwrap().set_modified(old).unwrap();
    }
    File::create(folder.join(".a.bgad.18.new")).unwrap();
    replace(&folder.join("a.bgad"), b"new").unwrap();
    assert_eq!(
        names(folder),
        [".a.bgad.18.new", ".a.bgad.x-y.new", ".b.bgad.17.new", "a.bgad", "a.bgad.17.new"]
    );
}

#[test]
fn the_previous_generation_is_kept_once_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let generations = || [fs::read(&path).unwrap(), fs::read(previous(&path)).unwrap()];
    let keep = |bytes: &[u8]| replace_keeping_previous(&path, bytes).unwrap();
    keep(b"1");
    assert_eq!(names(folder.path()), ["m"]);
    assert_eq!(restore(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    keep(b"2");
    keep(b"2");
    assert_eq!(generations(), [b"2", b"1"], "a repeated command does not count");
    keep(b"3");
    assert_eq!(generations(), [b"3", b"2"]);
    restore(&path).unwrap();
    assert_eq!(generations(), [b"2", b"3"]);
    restore(&path).unwrap();
    assert_eq!(generations(), [b"3", b"2"]);
    // An exchange that was cut between its two renames.
    fs::rename(&path, folder.path().join("m.undone")).unwrap();
    fs::rename(previous(&path), &path).unwrap();
    restore(&path).unwrap();
    assert_eq!(generations(), [b"2", b"3"]);
    assert_eq!(names(folder.path()), ["m", "m.previous"]);
}

#[test]
fn long_names_have_room_for_their_unfinished_successor() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["n".repeat(255), "ä".repeat(127)] {
        replace(&folder.path().join(&name), b"1").unwrap();
        replace(&folder.path().join(&name), b"2").unwrap();
        assert_eq!(fs::read(folder.path().join(&name)).unwrap(), b"2");
    }
    assert_eq!(names(folder.path()).len(), 2);
}

#[cfg(unix)]
mod on_unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn modes_are_kept_by_the_new_file_and_its_previous_generation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        replace(&path, b"1").unwrap();
        let usual = folder.path().join("usual");
        fs::write(&usual, b"").unwrap();
        assert_eq!(mode(&path), mode(&usual), "a new file is as any other");
        for (i, kept) in [0o660, 0o600, 0o640, 0o755].into_iter().enumerate() {
            set_mode(&path, kept);
            replace_keeping_previous(&path, &[i as u8]).unwrap();
            assert_eq!([mode(&path), mode(&previous(&path))], [kept; 2]);
            // Each is compared with a new previous generation.
            fs::remove_file(previous(&path)).unwrap();
        }
    }

    #[test]
    fn what_is_write_protected_or_a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        replace(&path, b"1").unwrap();
        set_mode(&path, 0o444);
        for refused in [replace(&path, b"2"), replace_keeping_previous(&path, b"2"), check(&path)] {
            assert_eq!(refused.unwrap_err().to_string(), "it is write-protected");
        }
        assert_eq!(fs::read(&path).unwrap(), b"1");
        assert_eq!(replace(folder.path(), b"2").unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(names(folder.path()), ["m"]);
    }

    #[test]
    fn links_stay_and_what_they_point_to_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("models")).unwrap();
        replace(&at("models/v1"), b"1").unwrap();
        symlink("models/v1", at("current")).unwrap();
        symlink("models/new", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        replace_keeping_previous(&at("current"), b"2").unwrap();
        replace(&at("dangling"), b"3").unwrap();
        assert!(replace(&at("loop"), b"4").is_err());
        assert_eq!(fs::read(at("models/v1")).unwrap(), b"2");
        assert_eq!(fs::read(at("models/new")).unwrap(), b"3");
        assert_eq!(names(&at("models")), ["new", "v1", "v1.previous"]);
        for link in ["current", "dangling"] {
            assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink(), "{link}");
        }
    }

    #[test]
    fn pipes_and_devices_are_written_into_and_stay_what_they_are() {
        use std::os::unix::fs::FileTypeExt as _;

        replace(Path::new("/dev/null"), b"1").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert_eq!(replace(Path::new("/dev/full"), b"1").unwrap_err().kind(), io::ErrorKind::StorageFull);
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        check(&pipe).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        replace(&pipe, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }
}
