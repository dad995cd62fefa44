package routers

import (
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/pawlauth/pawl"
)

// Echo is the same application with echo, whose WrapMiddleware takes Protect.
func Echo(p *pawl.Pawl) http.Handler {
	e := echo.New()
	e.Any("/auth/*", echo.WrapHandler(p.Handler()))
	e.Any("/.well-known/*", echo.WrapHandler(p.Handler()))
	e.GET("/", func(c echo.Context) error { return c.String(http.StatusOK, "Everybody may read this.\n") })
	account := e.Group("/account", echo.WrapMiddleware(p.Protect))
	account.GET("/:page", func(c echo.Context) error {
		caller, _ := pawl.PrincipalFrom(c.Request().Context())
		return c.String(http.StatusOK, fmt.Sprintf("%s of %s\n", c.Param("page"), caller.UserID))
	})
	account.POST("/close", func(c echo.Context) error { return c.String(http.StatusOK, "Closed.\n") },
		echo.WrapMiddleware(p.RequireRecent(5*time.Minute)))
	return e
}
