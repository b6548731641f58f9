"""The app in the browser: `build.build_app` makes the pages, `views` gathers plain values, `render*` turn them to HTML."""
