"""The app in the browser: `build.build_app` makes the pages, `views` gather plain values, `render*` draw them."""
